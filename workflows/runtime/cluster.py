"""Which processes live: each writes its heartbeat, and reads who else has been heard of.

A heartbeat says what the process has taken from each queue and what it holds, so that the sweeper can
tell a lost ring from one that stands in a long queue or is being worked on.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psutil
from django.db import DatabaseError

from workflows import models
from workflows.engine import decode_state
from workflows.runtime.clock import ClockWatch, DatabaseClock
from workflows.runtime.records import ContentionError, Records, Row, UnreachableError

log = logging.getLogger("lemline.cluster")

AGAIN_SECONDS = 1.0
"""Pause after a heartbeat that could not be written."""

TOLD_SECONDS = 30.0
"""How often the log repeats that heartbeats cannot be written."""

Hold = tuple[str, str, int]
"""Instance, wait, ring."""


@dataclass(slots=True)
class Held:
    """An activity that this process works on."""

    since: datetime
    cancel: Callable[[], None]


@dataclass(slots=True)
class Presence:
    """What this process does, as its heartbeat will tell. Shared by its threads."""

    name: str
    """For people: host, process and roles."""

    roles: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    """New at each start."""

    taken: dict[str, datetime] = field(default_factory=dict)
    """Queue and level to the latest stamp taken from it."""

    held: dict[Hold, Held] = field(default_factory=dict)
    living: frozenset[str] = frozenset()
    """Processes heard of within a lease, as of the last heartbeat."""

    horizon: Callable[[], datetime] = lambda: datetime.max.replace(tzinfo=UTC)
    """Gives the time since which a process must have been heard of to count as living."""

    is_alone: bool = False
    """Whether nobody else serves this database: what another process is recorded to hold died with it."""

    def take(self, queue: str, stamp: datetime) -> None:
        """Note that a message was taken from a queue."""
        known = self.taken.get(queue)
        if known is None or stamp > known:
            self.taken[queue] = stamp

    def cancel(self, instance_id: str, wait_id: str) -> None:
        """Tell whoever works for this wait here that it may stop."""
        for (instance, wait, _), held in list(self.held.items()):
            if instance == instance_id and wait == wait_id:
                held.cancel()

    def move(self, by: timedelta) -> None:
        """Follow a clock that was set: what is held is so for as long as before."""
        for held in list(self.held.values()):
            held.since += by
        self.taken.clear()

    def is_held(self, holder: str, hold: Hold) -> bool:
        """Return whether an activity's recorded holder will end it or hand it back. If it dies, the sweeper acts."""
        return hold in self.held if holder == str(self.id) else not self.is_alone

    def long_held(self, before: datetime) -> list[Hold]:
        """Return what has been held since before a time."""
        return [hold for hold, held in list(self.held.items()) if held.since < before]


class Heartbeat:
    """Writes the presence of this process, three times per lease."""

    def __init__(
        self, presence: Presence, records: Records, clock: DatabaseClock, lease_seconds: float, renew: "Renew"
    ) -> None:
        self._presence = presence
        self._records = records
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)
        self._renew = renew
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._started_at = clock.now()
        self._is_heard = False
        self._told: tuple[str, float] | None = None
        """Why the last heartbeats were missed, and when that was logged; None while they are written."""

        self._watch = ClockWatch(self._lease / 6)
        presence.horizon = lambda: clock.now() - self._lease

    def start(self) -> None:
        """Write the first heartbeat, then go on beside."""
        self._is_heard = self.beat()
        self._thread.start()

    def stop(self) -> None:
        """End, and leave: what this process held is free at once."""
        self._stopped.set()
        self._thread.join()
        try:
            models.Node.objects.filter(pk=self._presence.id).delete()
        except DatabaseError:
            log.warning("heartbeat.leave", exc_info=True)

    def _run(self) -> None:
        third = self._lease.total_seconds() / 3
        # Once the database is back, others must hear of us before they give up what we hold.
        while not self._stopped.wait(third if self._is_heard else min(third, AGAIN_SECONDS)):
            self._is_heard = self.beat()

    def beat(self) -> bool:
        """Write what this process does, learn who lives, and stop what nobody waits for any more. Never raises.

        Returns:
            Whether it was written.
        """
        try:
            now = self._records.now()
            self._clock.set(now)
            if by := self._watch.moved(now):
                log.warning("clock.set", extra={"seconds": by.total_seconds()})
                self._presence.move(by)
            self._write()
        except Exception as error:  # noqa: BLE001  (logged; the next one may be written)
            self._tell_missed(error)
            return False
        self._told = None
        try:
            self._drop_closed()
        except Exception:
            log.exception("heartbeat.closed")
        return True

    def _tell_missed(self, error: Exception) -> None:
        """Log it at first, when the reason changes, and now and then."""
        reason, now = str(error), time.monotonic()
        if self._told is not None and self._told[0] == reason and now - self._told[1] < TOLD_SECONDS:
            return
        self._told = reason, now
        expected = isinstance(error, DatabaseError | UnreachableError | ContentionError)
        log.warning("heartbeat.missed", exc_info=None if expected else error, extra={"error": reason})

    def _write(self) -> None:
        presence, now = self._presence, self._clock.now()
        held = presence.long_held(now - self._lease / 3)
        models.Node.objects.update_or_create(
            pk=presence.id,
            defaults={
                "name": presence.name,
                "roles": presence.roles,
                "started_at": self._started_at,
                "seen_at": now,
                "taken": {queue: stamp.isoformat() for queue, stamp in list(presence.taken.items())},
                "held": [list(hold) for hold in held],
                "usage": used(),
            },
        )
        heard = models.Node.objects.filter(seen_at__range=(now - self._lease, now + self._lease / 3))
        presence.living = frozenset(map(str, heard.values_list("pk", flat=True)))
        self._renew(held)

    def _drop_closed(self) -> None:
        held = self._presence.long_held(self._clock.now() - self._lease / 3)
        if not held:
            return
        rows = self._records.peek(sorted({instance for instance, _, _ in held}))
        still_open = open_waits(rows.values())
        for instance, wait, _ in held:
            if (instance, wait) not in still_open:
                self._presence.cancel(instance, wait)


def used() -> dict[str, float]:
    """Return what this process has used since it started."""
    process = psutil.Process()
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
        # Not every system tells, nor does every one to everybody.
        counters = process.io_counters() if hasattr(process, "io_counters") else None
    found = {"cpuSeconds": round(times.user + times.system, 2), "residentBytes": memory.rss}
    if counters is not None:
        found |= {"readBytes": counters.read_bytes, "writtenBytes": counters.write_bytes}
    return found


def open_waits(rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Return instance and wait of everything that is open in these checkpoints. Nothing is in a buried one."""
    states = (decode_state(row.state, row.input) for row in rows if not row.parked)
    return {(state.instance_id, wait) for state in states for wait in state.waits}


Renew = Callable[[Iterable[Hold]], None]
"""Keeps the claims of what is held from expiring."""
