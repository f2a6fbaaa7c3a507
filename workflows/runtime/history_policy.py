"""Which of what happened is kept in the history, and how."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from workflows.dsl.jsontext import encode
from workflows.engine import Data, PhaseChange, Step, TaskRun
from workflows.engine.problems import Problem
from workflows.runtime import marks
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

    def rows(self, instance: str, steps: Iterable[tuple[int, Step]]) -> Iterable[HistoryRow]:
        """Yield the rows of what steps with these numbers recorded. Phases are always kept."""
        for number, step in steps:
            records = step.records
            beside = marks.by_row(step) if step.marks and self.level == "tasks" else (None,) * len(records)
            for ordinal, (record, text) in enumerate(zip(records, beside, strict=False)):
                if isinstance(record, PhaseChange):
                    yield _phase_row(instance, number, ordinal, record, text)
                elif self._keeps(record):
                    yield self._run_row(instance, number, ordinal, record, text)
            if not records and beside and beside[0] is not None:
                yield _marks_row(instance, number, step.at, beside[0])

    def _keeps(self, run: TaskRun) -> bool:
        return self.level == "tasks" or (self.level == "activities" and run.kind in ("call", "run"))

    def _run_row(self, instance: str, step: int, ordinal: int, run: TaskRun, beside: str | None) -> HistoryRow:
        return (
            instance, step, ordinal, False, run.position, run.name, run.kind, run.status, run.attempt, run.iteration,
            run.queued_at, run.started_at, run.ended_at, (run.pool or "")[:32], (run.worker or "")[:255],
            self._kept(run.input, min(self.limit_bytes, SHARED_BYTES) if run.is_shared else self.limit_bytes),
            None if run.output is None else self._kept(run.output, self.limit_bytes),
            _problem(run.problem), "", "", beside,
        )  # fmt: skip

    def _kept(self, data: Data, limit_bytes: int) -> bytes:
        text = data.text
        return text if len(text) <= limit_bytes else encode(left_out(len(text), ""))


def _phase_row(instance: str, step: int, ordinal: int, change: PhaseChange, beside: str | None) -> HistoryRow:
    return (
        instance, step, ordinal, True, "", "", change.cause, change.status, 1, None, None, None, change.at, "", "",
        None, None, _problem(change.problem), change.reason, change.by[:150], beside,
    )  # fmt: skip


def _marks_row(instance: str, step: int, at: datetime, beside: str) -> HistoryRow:
    """Of a step that ended nothing, but began something."""
    return (
        instance, step, 0, None, "", "", "", "", 1, None, None, None, at, "", "", None, None, None, "", "", beside,
    )  # fmt: skip


def _problem(problem: Problem | None) -> bytes | None:
    return None if problem is None else msgspec.json.encode(problem)
