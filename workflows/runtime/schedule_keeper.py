"""Has what is due by a schedule started. Any number of processes may: what one has in hand, others pass over."""

import logging
import threading
import time
from datetime import timedelta

from django.db.models import Min

from workflows import models
from workflows.runtime.firing import SCHEDULES, Firing
from workflows.runtime.outages import is_outage
from workflows.runtime.process import Process
from workflows.runtime.records import UnreachableError
from workflows.runtime.successions import look_for_ends

log = logging.getLogger("lemline.schedules")

LOOK_SECONDS = 0.25
"""Pause between looks while nothing is due sooner: so late may the first start of a schedule be that another process
registered. A look costs one probe of an index, however many schedules there are.
"""

ENDS_SECONDS = 30.0
"""Pause between looks for ends that nobody was told of."""

REST_SECONDS = 60.0
"""How long a schedule is left alone whose start could not be written."""


class ScheduleKeeper:
    """A thread that sleeps until a schedule is due."""

    def __init__(self, process: Process) -> None:
        self._clock = process.clock
        self._records = process.records
        self._firing = Firing(process)
        self._resting: dict[int, float] = {}
        """Schedules to leave alone until a monotonic time."""

        self._ends_at = 0.0
        """Monotonic time of the next look for ends."""

        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction in hand."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                pause = self.look()
            except Exception as error:
                # Whatever it is: without this thread, no schedule would ever start anything again.
                unexpected = None if isinstance(error, UnreachableError) or is_outage(error) else error
                log.warning("schedules.wait", exc_info=unexpected, extra={"error": str(error)})
                pause = 1.0

    def look(self) -> float:
        """Start what is due, and return how many seconds the next look can wait."""
        self._look_for_ends()
        ticking = models.Schedule.objects.ticking().exclude(pk__in=self._left_alone())
        due_at = ticking.aggregate(first=Min("due_at"))["first"]
        now = self._clock.now()
        if due_at is None or due_at > now + timedelta(seconds=LOOK_SECONDS):
            return LOOK_SECONDS
        if due_at > now:
            return float((due_at - now).total_seconds())
        return 0.0 if self._fire() == SCHEDULES else LOOK_SECONDS / 10

    def _look_for_ends(self) -> None:
        if time.monotonic() >= self._ends_at:
            self._clock.set(self._records.now())
            look_for_ends()
            self._ends_at = time.monotonic() + ENDS_SECONDS

    def _fire(self) -> int:
        """Start what is due, and return of how many schedules. One that cannot be written holds up no other."""
        try:
            return len(self._firing.fire_due(self._clock.now(), self._left_alone()))
        except Exception as error:
            if isinstance(error, UnreachableError) or is_outage(error):
                raise
        due = models.Schedule.objects.due(self._clock.now()).exclude(pk__in=self._left_alone())
        return sum(map(self._fire_alone, list(due.values_list("pk", flat=True)[:SCHEDULES])))

    def _fire_alone(self, schedule: int) -> int:
        try:
            return len(self._firing.fire_due(self._clock.now(), only=schedule))
        except Exception as error:
            if isinstance(error, UnreachableError) or is_outage(error):
                raise
            log.exception("schedule.failed", extra={"schedule": schedule})
            self._resting[schedule] = time.monotonic() + REST_SECONDS
            return 0

    def _left_alone(self) -> list[int]:
        now = time.monotonic()
        self._resting = {schedule: until for schedule, until in self._resting.items() if until > now}
        return list(self._resting)
