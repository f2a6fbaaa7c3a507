"""Which of what happened is kept in the history, and how."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from workflows.dsl.jsontext import encode
from workflows.engine import Data, PhaseChange, TaskRun
from workflows.runtime.records import HistoryRow
from workflows.runtime.views import left_out

SHARED_BYTES = 1024
"""What an item's row holds at most of an input that all items have: thousands of items would each write all of it."""


@dataclass(frozen=True, slots=True)
class HistoryPolicy:
    """Which runs of tasks are kept, and how much of their data."""

    level: str
    """`off`, `activities` or `tasks`."""

    limit_bytes: int
    """Inputs and outputs above this are left out, with their size."""

    def rows(self, instance: str, records: Iterable[tuple[int, TaskRun | PhaseChange]]) -> Iterable[HistoryRow]:
        """Yield the rows of what steps recorded, each with its step's number. Phases are always kept."""
        last, ordinal = 0, 0
        for step, record in records:
            ordinal = ordinal + 1 if step == last else 0
            last = step
            if isinstance(record, PhaseChange):
                yield _phase_row(instance, step, ordinal, record)
            elif self._keeps(record):
                yield self._run_row(instance, step, ordinal, record)

    def _keeps(self, run: TaskRun) -> bool:
        return self.level == "tasks" or (self.level == "activities" and run.kind in ("call", "run"))

    def _run_row(self, instance: str, step: int, ordinal: int, run: TaskRun) -> HistoryRow:
        return (
            instance, step, ordinal, False, run.position, run.name, run.kind, run.status, run.attempt, run.iteration,
            run.queued_at, run.started_at, run.ended_at, (run.pool or "")[:32], (run.worker or "")[:255],
            self._kept(run.input, min(self.limit_bytes, SHARED_BYTES) if run.is_shared else self.limit_bytes),
            None if run.output is None else self._kept(run.output, self.limit_bytes),
            None if run.problem is None else msgspec.json.encode(run.problem), "", "",
        )  # fmt: skip

    def _kept(self, data: Data, limit_bytes: int) -> bytes:
        text = data.text
        return text if len(text) <= limit_bytes else encode(left_out(len(text), ""))


def _phase_row(instance: str, step: int, ordinal: int, change: PhaseChange) -> HistoryRow:
    return (
        instance, step, ordinal, True, "", "", "", change.status, 1, None, None, None, change.at, "", "", None, None,
        None, change.reason, change.by[:150],
    )  # fmt: skip
