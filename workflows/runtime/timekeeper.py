"""Has what is due stepped: waits, retries, timeouts, later starts, rings that failed.

A timekeeper knows when the next row of the table is due and sleeps until then, but for a look now and then: other
processes set timers too. It does not read what is due. The stepper locks and steps that in one transaction and passes
over what others hold, so any number of timekeepers share the work, and nothing is picked that nobody steps.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from workflows.runtime.clock import DatabaseClock
from workflows.runtime.ports import Outcome
from workflows.runtime.records import ContentionError, Records, UnreachableError
from workflows.runtime.work import Pick

log = logging.getLogger("lemline.timekeeper")

BATCH = 512
"""Instances stepped by one transaction at most."""

LOOK_SECONDS = 0.03
"""Pause between looks while nothing is due sooner: so late may a timer be that is shorter than this and was set by
another process. A look costs one probe of an index.
"""

EMBEDDED_LOOK_SECONDS = 0.25
"""The same where this process sets all timers, and is told of them."""

GATHER_SECONDS = 0.01
"""Pause after a transaction: of thousands of timers per second, some dozen share the next one."""

REST_SECONDS = 1.0
"""Pause after an error, and for an instance that is due and for which there was nothing to do."""


class DueSteps(Protocol):
    """What a timekeeper wants of the stepper."""

    expect: Callable[[datetime], None]
    """Called with the earliest time at which something that was just committed is due."""

    def pick(self, pick: Pick) -> None:
        """Have what is due stepped."""
        ...


class Timekeeper:
    """A thread that sleeps until something is due."""

    def __init__(
        self, records: Records, clock: DatabaseClock, stepper: DueSteps, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._records = records
        self._clock = clock
        self._stepper = stepper
        self._look_seconds = look_seconds
        self._look_at = datetime.max.replace(tzinfo=UTC)
        self._under_way: set[str] = set()
        """Locked by a pick and not settled yet: an expression of theirs may take long."""

        self._resting: dict[str, float] = {}
        """Instances to leave alone until a monotonic time."""

        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timekeeper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._stepper.expect = self.expect
        self._thread.start()

    def stop(self) -> None:
        """End; the stepper takes what it has been asked for."""
        self._stopped.set()
        self._woken.set()
        self._thread.join()

    def expect(self, due_at: datetime) -> None:
        """Look in time for what is due then."""
        if due_at < self._look_at:
            self._woken.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            self._look_at = self._clock.now() + timedelta(seconds=self._look_seconds)
            try:
                pause = self.look()
            except Exception as error:
                # Whatever it is: without this thread, nothing of this process would ever be on time again.
                unexpected = None if isinstance(error, UnreachableError | ContentionError) else error
                log.warning("timekeeper.waits", exc_info=unexpected, extra={"error": str(error)})
                self._stopped.wait(REST_SECONDS)
                continue
            self._look_at = self._clock.now() + timedelta(seconds=pause)
            self._woken.wait(pause)

    def look(self) -> float:
        """Have what is due stepped, and return how many seconds the next look can wait."""
        due_at, now = self._records.next_due()
        self._clock.set(now)
        if due_at is None:
            return self._look_seconds
        if due_at > now:
            return min((due_at - now).total_seconds(), self._look_seconds)
        return self._take()

    def _take(self) -> float:
        taken: list[str] = []
        failed: list[Exception] = []
        over = threading.Event()

        def found(ids: Sequence[str]) -> None:
            taken.extend(ids)
            self._under_way.update(ids)

        def done(error: Exception | None) -> None:
            failed.extend(filter(None, [error]))
            over.set()

        self._stepper.pick(Pick(BATCH, self._left_alone(), found, self._settled, done))
        # A database that is away keeps the stepper waiting, and must not keep this from ending.
        while not over.wait(REST_SECONDS) and not self._stopped.is_set():
            pass
        if failed:
            raise failed[0]
        if not taken:
            return LOOK_SECONDS
        return 0.0 if len(taken) == BATCH else GATHER_SECONDS

    def _left_alone(self) -> list[str]:
        now = time.monotonic()
        self._resting = {instance: until for instance, until in list(self._resting.items()) if until > now}
        return [*list(self._under_way), *self._resting]

    def _settled(self, instance: str, outcome: Outcome) -> None:
        self._under_way.discard(instance)
        if not (outcome.changed or outcome.rung):
            self._resting[instance] = time.monotonic() + REST_SECONDS
