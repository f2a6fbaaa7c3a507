"""The way to one sink: the events of an instance one after the other, several instances at once."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from workers.sinks.places import sender_of
from workers.sinks.sender import AwayError, Place, RefusedError, SendError
from workflows import models
from workflows.runtime import deliveries
from workflows.runtime.deliveries import Failure, Letter, Policy, Results, Standing
from workflows.runtime.outages import is_outage

log = logging.getLogger("lemline.courier")

GATHER_SECONDS = 0.005
"""Pause before results are stored: some dozen share a transaction."""

PROBES = 4
"""Instances whose events are tried at once while a sink is away."""

MOST_CREDIT = 8
"""Failures in a row that a sink which took events may be believed to be up."""

REST_SECONDS = 1.0
"""Pause after an error of ours, or of the database."""

END_SECONDS = 5.0
"""How long what is being sent is waited for at the end."""


_WAY = ("url", "mode", "secret", "credentials")


class Route:
    """Sends to one sink, in an event loop.

    Args:
        sink: The row.
        place: The same, for what sends.
        policy: When what failed is tried again.
        ask: Runs statements.
        now: Database time.
        holds: Whether the courier still holds its sinks.
        width: Instances at once.
    """

    def __init__(
        self,
        sink: models.Sink,
        place: Place,
        policy: Policy,
        ask: Callable[..., Awaitable[Any]],
        now: Callable[[], datetime],
        holds: Callable[[], bool],
        width: int,
    ) -> None:
        self._sink = sink
        self._sender = sender_of(place)
        self._timeout_seconds = place.timeout_seconds
        self._policy = policy
        self._ask = ask
        self._now = now
        self._holds = holds
        self._width = width
        self._standing = Standing(sink.failures, sink.resting_until)
        self._credit = 0
        """Failures of events that are not taken for an absence of the sink: it has taken others."""

        self._lanes: dict[UUID, asyncio.Task[None]] = {}
        """Instances that are being sent for, or whose results are not stored yet."""

        self._results = Results()
        self._is_ending = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None]

    def begin(self) -> None:
        """Begin to send."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._woken.set()

    def wake(self) -> None:
        """Something is due."""
        self._woken.set()

    def leads_to(self, sink: models.Sink) -> bool:
        """Return whether a row says what this route goes by."""
        is_the_same = all(getattr(sink, name) == getattr(self._sink, name) for name in _WAY)
        # Whoever changes anything of a sink that is away wants it to be tried now.
        return is_the_same and (bool(sink.failures) or not self._standing.failures)

    async def end(self) -> None:
        """Finish what is being sent, and store what became of it."""
        self._is_ending = True
        self._woken.set()
        if self._lanes:
            _, slow = await asyncio.wait(self._lanes.values(), timeout=END_SECONDS)
            for lane in slow:
                lane.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        await self._task
        await self._close()

    async def _run(self) -> None:
        while not self._is_ending or self._lanes:
            await self._woken.wait()
            self._woken.clear()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                await self._turn()
            except Exception as error:
                unexpected = None if is_outage(error) else error
                log.warning("sink.waits", exc_info=unexpected, extra={"sink": self._sink.name, "error": str(error)})
                if self._is_ending:
                    return
                await asyncio.sleep(REST_SECONDS)
                self._woken.set()

    async def _turn(self) -> None:
        """Store what became of events, and send the next ones."""
        over = [instance for instance, lane in self._lanes.items() if lane.done()]
        await self._store()
        for instance in over:
            del self._lanes[instance]
        room = (PROBES if self._standing.failures else self._width) - len(self._lanes)
        if room <= 0 or not self._may_send():
            return
        found = await self._ask(deliveries.lanes, self._sink.pk, self._now(), list(self._lanes))
        for letters in found[:room]:
            self._lanes[letters[0].instance] = asyncio.get_running_loop().create_task(self._send_all(letters))

    async def _store(self) -> None:
        results, self._results = self._results, Results()
        if not results:
            return
        try:
            self._standing = await self._ask(deliveries.settle, self._sink.pk, results, self._policy, self._now())
        except BaseException:
            # What was taken stays known, or it would be sent again.
            self._results = _joined(results, self._results)
            raise
        if results.away:
            log.warning("sink.away", extra={"sink": self._sink.name, "error": results.away})

    def _may_send(self) -> bool:
        rest = self._standing.resting_until
        is_awake = not self._results.away and (rest is None or rest <= self._now())
        return is_awake and not self._is_ending and self._holds()

    async def _send_all(self, letters: list[Letter]) -> None:
        """Send the events of an instance, up to the first that is not taken."""
        try:
            for letter in letters:
                if not self._may_send() or not await self._send(letter):
                    return
        finally:
            self._woken.set()

    async def _send(self, letter: Letter) -> bool:
        try:
            async with asyncio.timeout(2 * self._timeout_seconds):
                await self._sender.send(letter)
        except Exception as error:  # noqa: BLE001  (whatever a client raises, the place did not take it)
            self._note(letter, error)
            return False
        self._results.taken.append(letter.id)
        self._results.has_answered = True
        self._credit = min(self._credit + 1, MOST_CREDIT)
        self._woken.set()
        return True

    def _note(self, letter: Letter, error: Exception) -> None:
        """Tell an event that is refused from a sink that is away."""
        text = str(error) if isinstance(error, SendError) else f"{type(error).__name__}: {error}".rstrip(": ")
        is_away = isinstance(error, AwayError) or not isinstance(error, SendError)
        if not is_away and (isinstance(error, RefusedError) or self._credit):
            self._credit -= not isinstance(error, RefusedError)
            self._results.failed.append(Failure(letter, text, counts=True))
            self._results.has_answered = True
            return
        if not is_away:
            # It may be the event after all: others are tried first.
            self._results.failed.append(Failure(letter, text, counts=False))
        self._results.away = text
        self._results.away_for = timedelta(seconds=getattr(error, "seconds", 0.0))

    async def _close(self) -> None:
        with contextlib.suppress(Exception):
            await self._sender.close()


def _joined(first: Results, then: Results) -> Results:
    return Results(
        taken=first.taken + then.taken,
        failed=first.failed + then.failed,
        has_answered=first.has_answered or then.has_answered,
        away=then.away or first.away,
        away_for=max(first.away_for, then.away_for),
    )
