"""Records in memory: running a file without a server, and tests that need no database.

Nothing survives the process. One lock stands for all row locks.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from workflows.runtime.records import (
    Birth,
    Changes,
    Checkpointed,
    HistoryRow,
    Locked,
    Phase,
    Row,
    Tell,
    nothing_told,
    unborn,
    unpack,
)


class MemoryRecords:
    """Records that are Python values."""

    def __init__(self) -> None:
        self.instances: dict[str, tuple[Birth, Phase]] = {}
        self.history: list[HistoryRow] = []
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()
        self._began_at = datetime.now(UTC), time.monotonic()

    def lock(self, ids: Sequence[str], *, wait: bool, births: Sequence[Birth] = ()) -> Locked:
        """Take the one lock."""
        self._lock.acquire()
        existing = {birth.instance_id for birth in births if birth.instance_id in self.instances}
        for birth in births:
            self.instances.setdefault(birth.instance_id, (birth, unborn(birth)))
        rows = {instance: self._rows[instance] for instance in ids if instance in self._rows}
        return Locked(rows, self.now(), frozenset(), frozenset(existing))

    def save(self, changes: Changes) -> None:
        """Change everything and let go."""
        self.write(changes)
        self._lock.release()

    def write(self, changes: Changes) -> None:
        """Change everything."""
        for birth, phase, after in changes.births:
            self.instances[birth.instance_id] = (birth, phase)
            if after is not None:
                blank = Row(birth.instance_id, birth.definition, birth.priority, 0, b"", birth.input, None)
                self._rows[birth.instance_id] = _after(blank, after)
        for after in changes.checkpoints:
            self._rows[after.instance_id] = _after(self._rows[after.instance_id], after)
        for phase in changes.phases:
            self.instances[phase.instance_id] = (self.instances[phase.instance_id][0], phase)
        for instance in changes.removed:
            self._rows.pop(instance, None)
        self.history.extend(changes.history)

    def rollback(self) -> None:
        """Let go."""
        if self._lock.locked():
            self._lock.release()

    def peek(self, ids: Sequence[str]) -> dict[str, Row]:
        """Look without the lock: rows are replaced, never changed."""
        return {instance: self._rows[instance] for instance in ids if instance in self._rows}

    def steps(self, ids: Sequence[str]) -> dict[str, int]:
        """Look at the step numbers."""
        return {instance: row.step for instance, row in self.peek(ids).items()}

    def now(self) -> datetime:
        """The time when this began and what has gone by since: somebody who sets the clock moves no timer."""
        began_at, then = self._began_at
        return began_at + timedelta(seconds=time.monotonic() - then)

    def open_work(self, limit: int, after: str, *, early: bool = False) -> list[Row]:
        """Nothing is ever lost in one process."""
        return []

    def looked(self, ids: Sequence[str], seconds: float) -> None:
        """Nobody looks."""

    def ring_all(self) -> None:
        """Nothing is left from earlier."""

    def next_due(self) -> tuple[datetime | None, datetime]:
        """Look through all of them."""
        return min((due_at for due_at, _ in self._waiting()), default=None), self.now()

    def lock_due(self, limit: int, but: Sequence[str]) -> Locked:
        """Take the one lock."""
        self._lock.acquire()
        now = self.now()
        due = sorted((due_at, name) for due_at, name in self._waiting() if due_at <= now and name not in but)
        return Locked({name: self._rows[name] for _, name in due[:limit]}, now, frozenset(), frozenset())

    def postpone(self, ids: Sequence[str], seconds: float) -> None:
        """Set `due_at`."""
        moment = self.now() + timedelta(seconds=seconds)
        for instance in ids:
            if instance in self._rows:
                self._rows[instance] = msgspec.structs.replace(self._rows[instance], due_at=moment)

    def bury(self, instance_id: str, problem: bytes, problem_type: str, tell: Tell = nothing_told) -> None:
        """Fault an instance whose step cannot be taken; there is nobody outside to tell."""
        if instance_id not in self._rows:
            return
        birth, phase = self.instances[instance_id]
        ended = replace(phase, status="faulted", problem=problem, problem_type=problem_type, ended_at=self.now())
        self.instances[instance_id] = (birth, ended)
        self._rows.pop(instance_id, None)

    def _waiting(self) -> list[tuple[datetime, str]]:
        return [(row.due_at, name) for name, row in list(self._rows.items()) if row.due_at is not None]


def _after(row: Row, after: Checkpointed) -> Row:
    return msgspec.structs.replace(row, step=after.step, state=unpack(after.state), due_at=after.due_at)
