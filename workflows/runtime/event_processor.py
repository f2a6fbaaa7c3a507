"""Finds those whom received events concern, and offers them (docs/events.md).

An event is done once the steps of all whom it was offered to are committed. Until then it waits in its lane: whoever
dies with it in hand loses nothing, and what is offered again changes nothing.

Several threads take turns: one looks, and leads the next to look before it works on what it has found.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial

from django.db import connection

from workflows.runtime.event_lanes import Order, any_order, make_lanes
from workflows.runtime.event_schedules import Offer
from workflows.runtime.interests import Interests
from workflows.runtime.listeners import Arrival, Audience, Batch, find_audience, finish, next_batch
from workflows.runtime.look_backs import TOGETHER, LookBacks
from workflows.runtime.offering import Offering, StoppedError
from workflows.runtime.outages import is_outage
from workflows.runtime.process import Process
from workflows.runtime.subscriptions import Wait

log = logging.getLogger("lemline.events")

LOOK_SECONDS = 0.02
"""Pause between looks: so long may an event wait that another process has accepted. A look costs two index probes."""

EMBEDDED_LOOK_SECONDS = 0.25
"""The same where this process accepts all events, or hears of them."""

BUSY_SECONDS = 0.005
"""Pause while others hold all lanes in which events wait."""

REST_SECONDS = 1.0
"""Pause after an error."""

_WAITING = "SELECT EXISTS (SELECT 1 FROM workflows_pendingevent), EXISTS (SELECT 1 FROM workflows_lookback)"

Hear = Callable[[Sequence[Offer], datetime], object]
"""Takes what is offered to schedules, and returns once it is committed; what was offered before changes nothing."""


class BehindError(Exception):
    """Some of those whom a batch concerns have still to be offered what came before."""

    def __init__(self, waits: Sequence[Wait]) -> None:
        super().__init__(f"{len(waits)} listeners have just begun")
        self.waits = waits


class EventProcessor:
    """The threads of one process that offer events."""

    def __init__(
        self,
        process: Process,
        threads: int,
        hear: Hear,
        *,
        look_seconds: float = LOOK_SECONDS,
        order: Order = any_order,
    ) -> None:
        self._process = process
        self._look_seconds = look_seconds
        self._order = order
        self._lanes = make_lanes()
        self._interests = Interests()
        self._stopped = threading.Event()
        self._bell = threading.Event()
        self._offering = Offering(process.stepper, process.clock, self._stopped)
        self._look_backs = LookBacks(self._lanes, self._interests, self._offering, process.clock)
        self._lead = threading.Lock()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="event-schedules")
        self._is_catching_up = False
        self._threads = [
            threading.Thread(target=self._run, name=f"events-{number}", daemon=True) for number in range(threads)
        ]
        self._hear = hear
        self.offered = 0
        """Events that this process was done with."""

    def start(self) -> None:
        """Begin to look."""
        self._process.stepper.expect_events = self._bell.set
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the batches in hand; what waits is offered by whoever comes next."""
        self._stopped.set()
        self._bell.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._beside.submit(connection.close)
        self._beside.shutdown()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._turn()
            except StoppedError:
                return
            except Exception as error:
                # Whatever it is: without these threads no event would ever be heard of again.
                log.warning("events.wait", exc_info=None if is_outage(error) else error, extra={"error": str(error)})
                connection.close()
                self._stopped.wait(REST_SECONDS)
        connection.close()

    def _turn(self) -> None:
        try:
            with ExitStack() as held:
                with self._lead:
                    work = self._next(held)
                work()
        except BehindError as behind:
            # Not before its lanes were let go: whoever sees to these listeners may be waiting for them.
            self._look_backs.catch_up(behind.waits)

    def _next(self, held: ExitStack) -> Callable[[], None]:
        """Wait until there is something to do, and return it; what it needs is held by the stack."""
        while not self._stopped.is_set():
            self._bell.clear()
            has_pending, has_behind = self._waiting()
            if has_behind and not self._is_catching_up:
                self._is_catching_up = True
                return self._catch_up
            if has_pending:
                lanes = held.enter_context(self._lanes.hold(self._order))
                if lanes:
                    return partial(self._work, next_batch(lanes))
                held.close()
            self._bell.wait(BUSY_SECONDS if has_pending or has_behind else self._look_seconds)
        raise StoppedError

    def _waiting(self) -> tuple[bool, bool]:
        with connection.cursor() as cursor:
            cursor.execute(_WAITING)
            has_pending, has_behind = cursor.fetchone()
        return bool(has_pending), bool(has_behind)

    def _catch_up(self) -> None:
        try:
            if not self._look_backs.catch_up():
                self._stopped.wait(BUSY_SECONDS)
        finally:
            self._is_catching_up = False

    def look(self) -> bool:
        """Work on what waits now, once, and return whether there was anything."""
        has_pending, has_behind = self._waiting()
        if has_behind:
            self._look_backs.catch_up()
        if has_pending:
            with self._lanes.hold(self._order) as lanes:
                if lanes:
                    self._work(next_batch(lanes))
        return has_pending or has_behind

    def _work(self, batch: Batch) -> None:
        """Offer a batch to all whom it concerns. Its lanes are held."""
        arrivals = batch.arrivals
        audience = find_audience(arrivals, self._interests) if arrivals else Audience()
        behind = [each.wait for each in audience.listeners if each.is_behind and each.wait is not None]
        if behind:
            raise BehindError(behind[:TOGETHER])
        gone = self._offering.offer(audience.heard(arrivals))
        self._offer_to_schedules(audience.scheduled(arrivals))
        if batch.pending:
            finish(batch, audience, gone)
        self.offered += len(arrivals)

    def _offer_to_schedules(self, heard: Mapping[int, Sequence[Arrival]]) -> None:
        """Offer events to schedules, in a thread whose connection holds no lanes: what they start is committed at once.

        A schedule that fails has its events counted as offered: it must not keep them from others for ever.
        """
        offers = [Offer(schedule=key, event=each.event, scope=each.scope) for key in heard for each in heard[key]]
        if not offers:
            return
        try:
            self._beside.submit(_hear, self._hear, offers, self._process.clock.now()).result()
            return
        except Exception as error:
            if is_outage(error):
                raise
            log.warning("schedules.apart", extra={"error": str(error)})
        for schedule in heard:
            own = [offer for offer in offers if offer.schedule == schedule]
            try:
                self._beside.submit(_hear, self._hear, own, self._process.clock.now()).result()
            except Exception as error:
                if is_outage(error):
                    raise
                log.exception("schedule.failed", extra={"schedule": schedule, "events": [each.key for each in own]})


def _hear(hear: Hear, offers: Sequence[Offer], now: datetime) -> None:
    try:
        hear(offers, now)
    except Exception:
        # Another use of it begins with one that works.
        connection.close()
        raise
