"""The courier: sends what steps have told to the sinks that want it.

One event loop for all sinks of a process, so that one that is away or slow holds up no other; statements go through
two threads, however many sinks there are. `runtime/deliveries.py` says what is next and keeps what became of it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, connections

from workers.route import Route
from workers.sinks.sender import Place
from workflows import models
from workflows.runtime import deliveries
from workflows.runtime.connections import drop_dead
from workflows.runtime.deliveries import Policy
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.outages import is_outage
from workflows.runtime.process import Process
from workflows.runtime.sink_address import SinkAddress, read_address

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("lemline.courier")

LOOK_SECONDS = 0.1
"""Pause between looks for what is due: so late may an event be sent that a step just wrote."""

ORPHANS_SECONDS = 60.0
"""Pause between looks for rows of sinks that are gone."""

MOST_UNKNOWN_SECONDS = 1.0
"""So long a new or changed sink may be unknown to couriers."""

STATEMENTS = 2
"""Threads, hence database connections, of a courier."""


class Courier:
    """A thread that sends to every sink which no other courier holds.

    Args:
        process: The runtime of its process.
        lease_seconds: After so long without a sign of it, others send to its sinks.
    """

    def __init__(self, process: Process, lease_seconds: float) -> None:
        self._id = uuid4()
        self._process = process
        self._lease_seconds = lease_seconds
        self._routes: dict[int, Route] = {}
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._held_until = self._renew_at = self._orphans_at = 0.0
        """On the monotonic clock."""

        self._statements = ThreadPoolExecutor(STATEMENTS, thread_name_prefix="courier-sql")
        self._loop: asyncio.AbstractEventLoop
        self._stopped: asyncio.Event
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="courier", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """Finish what is being sent, and leave the sinks to others."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        while not self._stopped.is_set():
            try:
                await self._look()
            except Exception as error:
                # Whatever it is: without this loop, nothing would leave this process any more.
                unexpected = None if is_outage(error) else error
                log.warning("courier.waits", exc_info=unexpected, extra={"error": str(error)})
            await _wait(self._stopped, LOOK_SECONDS)
        await self._end()

    async def _look(self) -> None:
        if time.monotonic() >= self._renew_at:
            await self._renew()
        # Without a sink, nothing is asked of the database but whether there is one.
        found = await self._ask(deliveries.waiting, self._id, self._process.clock.now()) if self._routes else ()
        for sink in found:
            if sink in self._routes:
                self._routes[sink].wake()
        if time.monotonic() >= self._orphans_at:
            await self._ask(deliveries.drop_orphans)
            self._orphans_at = time.monotonic() + ORPHANS_SECONDS

    async def _renew(self) -> None:
        """Hold what nobody holds, and send only there: by the address of now."""
        began = time.monotonic()
        held = {sink.pk: sink for sink in await self._ask(self._hold)}
        self._held_until = began + self._lease_seconds * deliveries.RENEW
        self._renew_at = began + min(self._lease_seconds / 6, MOST_UNKNOWN_SECONDS)
        for key, route in list(self._routes.items()):
            if key not in held or not route.leads_to(held[key]):
                self._ending[key] = self._loop.create_task(self._routes.pop(key).end())
        self._ending = {key: end for key, end in self._ending.items() if not end.done()}
        for key, sink in held.items():
            # Not beside one that still sends there.
            if key not in self._routes and key not in self._ending:
                self._begin(sink)

    def _hold(self) -> list[models.Sink]:
        clock = self._process.clock
        clock.set(self._process.records.now())
        return deliveries.hold(self._id, clock.now(), timedelta(seconds=self._lease_seconds))

    def _begin(self, sink: models.Sink) -> None:
        try:
            address = read_address(sink.url)
        except InvalidRequestError as error:
            # It was checked when it was written; what cannot be read now must not hold up the others.
            log.error("sink.unknown", extra={"sink": sink.name, "error": str(error)})
            return
        self._routes[sink.pk] = self._route(sink, address)
        self._routes[sink.pk].begin()

    def _route(self, sink: models.Sink, address: SinkAddress) -> Route:
        config = settings.LEMLINE.events.sinks
        place = Place(
            address=address,
            is_binary=sink.mode == "binary",
            secret=sink.secret,
            credentials=sink.credentials,
            read_secret=self._process.secrets.read,
            timeout_seconds=config.timeout.total_seconds(),
            user_agent=settings.LEMLINE.http.user_agent,
            private_addresses=settings.LEMLINE.http.private_addresses,
        )
        policy = Policy(config.first_pause, config.longest_pause, config.attempts)
        return Route(sink, place, policy, self._ask, self._process.clock.now, self._holds, config.concurrency)

    def _holds(self) -> bool:
        return time.monotonic() < self._held_until

    async def _ask(self, statement: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run statements in a thread that has a connection."""
        return await self._loop.run_in_executor(self._statements, lambda: _with_database(statement, *args, **kwargs))

    async def _end(self) -> None:
        routes, self._routes = self._routes, {}
        ends = [*(route.end() for route in routes.values()), *self._ending.values()]
        await asyncio.gather(*ends, return_exceptions=True)
        try:
            await self._ask(deliveries.let_go, self._id)
        except DatabaseError as error:
            # The end of the lease does it.
            log.warning("courier.not_released", extra={"error": str(error)})
        closing = [self._loop.run_in_executor(self._statements, connections.close_all) for _ in range(STATEMENTS)]
        await asyncio.gather(*closing)
        self._statements.shutdown()


def _with_database(statement: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    drop_dead()
    try:
        return statement(*args, **kwargs)
    except DatabaseError:
        connections.close_all()
        raise


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
