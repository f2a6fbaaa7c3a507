"""What happened to an instance: runs of its tasks, ended and under way, and its phases."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.db.models import Q, QuerySet

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.dsl.model import Definition
from workflows.dsl.position import unescaped
from workflows.engine import decode_state
from workflows.engine.plan import plan_of
from workflows.engine.state import Frame
from workflows.runtime.definitions import Lookup
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.records import unpack
from workflows.runtime.views import instant, referred

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = r"[0-9]{1,17} [0-9]{1,18} [0-9]{1,9}"
_UNDER_WAY = 10**17
"""In the place of the step that ended a run: after every step there can be."""


@dataclass(frozen=True)
class HistoryView:
    """What happened to an instance."""

    tasks: Page[dict[str, Json]]
    phases: list[dict[str, Json]]


@dataclass(frozen=True)
class _Run:
    """A run at its place: when it began, the step that ended it, and its place in that."""

    started_at: datetime
    step: int
    ordinal: int
    json: dict[str, Json]

    @property
    def key(self) -> tuple[datetime, int, int]:
        return self.started_at, self.step, self.ordinal


def read_history(instance: models.Instance, *, lookup: Lookup, limit: int, cursor: str | None) -> HistoryView:
    """Return runs in the order of their start, and every phase.

    Args:
        instance: Whose.
        lookup: Gives the definition of an open instance, which knows the kinds of its tasks.
        limit: Runs to a page.
        cursor: Where the page before this one ended.
    """
    begin = _place(cursor) if cursor else None
    ended = [_ended(row, instance) for row in _rows_after(instance, begin)[: limit + 1]]
    found = sorted((*ended, *_under_way(instance, lookup, begin)), key=lambda run: run.key)
    page = found[:limit]
    tasks = Page(items=[run.json for run in _outer_first(page)], next=_cursor(page[-1]) if len(found) > limit else None)
    phases = models.History.objects.filter(instance=instance.pk, is_phase=True).order_by("step", "ordinal")
    return HistoryView(tasks=tasks, phases=[_phase(row) for row in phases])


def _cursor(run: _Run) -> str:
    return cursor_of(f"{(run.started_at - _EPOCH) // timedelta(microseconds=1)} {run.step} {run.ordinal}")


def _place(cursor: str) -> tuple[datetime, int, int]:
    microseconds, step, ordinal = (int(part) for part in after_cursor(cursor, _CURSOR).split(" "))
    return _EPOCH + timedelta(microseconds=microseconds), step, ordinal


def _rows_after(instance: models.Instance, begin: tuple[datetime, int, int] | None) -> QuerySet[models.History]:
    rows = models.History.objects.filter(instance=instance.pk, is_phase=False)
    if begin is not None:
        at, step, ordinal = begin
        later = Q(step__gt=step) | Q(step=step, ordinal__gt=ordinal)
        rows = rows.filter(Q(started_at__gt=at) | Q(started_at=at) & later)
    return rows.order_by("started_at", "step", "ordinal")


def _outer_first(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Yield runs that began at one moment with each task before those within it, which ended before it did."""
    for _, moment in groupby(runs, key=lambda run: run.started_at):
        ordered: list[_Run] = []
        for run in moment:
            within = f"{run.json['position']}/"
            place = len(ordered)
            while place and ordered[place - 1].json["position"].startswith(within):
                place -= 1
            ordered.insert(place, run)
        yield from ordered


def _ended(row: models.History, instance: models.Instance) -> _Run:
    task: dict[str, Json] = {
        "position": row.position, "name": row.name, "kind": row.kind, "status": row.status, "attempt": row.attempt,
        "startedAt": instant(row.started_at), "endedAt": instant(row.ended_at), "pool": row.pool or None,
        "worker": row.worker or None,
    }  # fmt: skip
    if row.iteration is not None:
        task["iteration"] = row.iteration
    if row.queued_at is not None:
        task["queuedAt"] = instant(row.queued_at)
    for name, value in (("input", row.input), ("output", row.output), ("error", row.problem)):
        if value is not None:
            task[name] = referred(decode(bytes(value)), instance.pk)
    return _Run(row.started_at or row.ended_at, row.step, row.ordinal, task)


def _under_way(instance: models.Instance, lookup: Lookup, begin: tuple[datetime, int, int] | None) -> Iterator[_Run]:
    found = models.Checkpoint.objects.filter(instance=instance.pk, parked=False).values_list("state", "input").first()
    if found is None:
        return
    state = decode_state(unpack(bytes(found[0])), bytes(found[1]))
    definition = lookup(instance.definition_id).definition
    for ordinal, frame in enumerate(state.running_tasks()):
        run = _Run(frame.started_at, _UNDER_WAY, ordinal, _running(frame, definition))
        if begin is None or run.key > begin:
            yield run


def _running(frame: Frame, definition: Definition) -> dict[str, Json]:
    node = plan_of(definition).nodes[frame.position]
    task: dict[str, Json] = {
        "position": frame.position, "name": unescaped(frame.position.rpartition("/")[2]), "kind": node.kind,
        "status": "running", "attempt": frame.attempt, "startedAt": instant(frame.started_at), "endedAt": None,
        "pool": node.pool or None, "worker": None, "input": decode(frame.raw.text),
    }  # fmt: skip
    if frame.iteration is not None:
        task["iteration"] = frame.iteration
    return task


def _phase(row: models.History) -> dict[str, Json]:
    phase: dict[str, Json] = {"status": row.status, "at": instant(row.ended_at)}
    if row.reason:
        phase["reason"] = row.reason
    if row.by:
        phase["by"] = row.by
    return phase
