"""CloudEvents of the life cycle: `io.serverlessworkflow.workflow.*.v1` and `io.serverlessworkflow.task.*.v1`.

Their data is what the tables of the DSL reference ("Lifecycle Events") have, and nothing else. Nothing is stored for
them: a step's records and the history's rows, which come of those, tell the same moments under the same ids.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.conf import settings

from workflows.dsl.jsontext import Json, decode
from workflows.engine.problems import Problem
from workflows.runtime.views import instant, left_out, referred

TABLES: Mapping[str, tuple[str, ...]] = {
    "workflow.started": ("name", "definition", "startedAt"),
    "workflow.suspended": ("name", "suspendedAt"),
    "workflow.resumed": ("name", "resumedAt"),
    "workflow.correlation-started": ("name", "startedAt"),
    "workflow.correlation-completed": ("name", "completedAt", "correlationKeys"),
    "workflow.cancelled": ("name", "cancelledAt"),
    "workflow.faulted": ("name", "faultedAt", "error"),
    "workflow.completed": ("name", "completedAt", "output"),
    "workflow.status-changed": ("name", "updatedAt", "status"),
    "task.created": ("workflow", "task", "createdAt"),
    "task.started": ("workflow", "task", "startedAt"),
    "task.suspended": ("workflow", "task", "suspendedAt"),
    "task.resumed": ("workflow", "task", "resumedAt"),
    "task.retried": ("workflow", "task", "retriedAt"),
    "task.cancelled": ("workflow", "task", "cancelledAt"),
    "task.faulted": ("workflow", "task", "faultedAt", "error"),
    "task.completed": ("workflow", "task", "completedAt", "output"),
    "task.status-changed": ("workflow", "task", "updatedAt", "status"),
}
"""Kind of event to the members of its data, in the reference's order."""

OPTIONAL = frozenset({"workflow.status-changed", "task.status-changed"})
"""Kinds that the specification does not require; all others are always told."""

REQUIRED = frozenset(TABLES) - OPTIONAL

_OF_MARKS: Mapping[str, tuple[str, ...]] = {
    "begun": ("task.created", "task.started"),
    "retried": ("task.retried",),
    "suspended": ("task.suspended",),
    "resumed": ("task.resumed",),
    "correlating": ("workflow.correlation-started",),
    "correlated": ("workflow.correlation-completed",),
}
_STATUSES: Mapping[str, str] = {
    "task.created": "pending",
    "task.started": "running",
    "task.suspended": "suspended",
    "task.resumed": "running",
    "task.cancelled": "cancelled",
    "task.faulted": "faulted",
    "task.completed": "completed",
}
"""The status that a task has after each kind of event."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an instance or to a task of it."""

    kind: str
    """One of `TABLES`."""

    at: datetime
    place: str
    """Where its instance's history has it: step and ordinal, and for what stands between two rows its number there."""

    position: str = ""
    attempt: int = 1
    iteration: int | None = None
    rest: Mapping[str, Json] = {}
    """What its table wants besides names and time."""


@dataclass(frozen=True, slots=True)
class About:
    """The instance that moments belong to."""

    instance_id: str
    namespace: str
    workflow: str
    version: str


def type_of(kind: str) -> str:
    """Return the CloudEvent type of a kind."""
    return f"io.serverlessworkflow.{kind}.v1"


def of_mark(
    what: str, position: str, attempt: int, iteration: int | None, keys: Mapping[str, Json] | None, *,
    at: datetime, place: str,
) -> Iterator[Moment]:  # fmt: skip
    """Yield what a mark tells."""
    for kind in _OF_MARKS[what]:
        rest = {} if not keys else {"correlationKeys": dict(keys)}
        yield from _with_status(
            Moment(
                kind=kind, at=at, place=place, position=position, attempt=attempt, iteration=iteration, rest=rest
            )
        )  # fmt: skip


def of_run(
    status: str, position: str, attempt: int, iteration: int | None, *,
    at: datetime, place: str, output: Json = None, error: Json = None,
) -> Iterator[Moment]:  # fmt: skip
    """Yield what the end of a task tells; one that was skipped was never begun."""
    if status != "skipped":
        yield from _with_status(
            Moment(
                kind=f"task.{status}", at=at, place=place, position=position, attempt=attempt, iteration=iteration,
                rest=_present(output=output, error=error),
            )
        )  # fmt: skip


def of_phase(
    status: str, cause: str, *, at: datetime, place: str, output: Json = None, error: Json = None
) -> Iterator[Moment]:
    """Yield what a change of phase tells: waiting, and going on after it, only that the status is another."""
    kind = f"workflow.{cause or status}"
    if kind in TABLES:
        yield Moment(kind=kind, at=at, place=place, rest=_present(output=output, error=error))
    yield Moment(kind="workflow.status-changed", at=at, place=place, rest={"status": status})


def _with_status(moment: Moment) -> Iterator[Moment]:
    yield moment
    status = _STATUSES.get(moment.kind)
    if status is not None:
        yield msgspec.structs.replace(
            moment, kind="task.status-changed", place=f"{moment.place}:{status}", rest={"status": status}
        )


def _present(**members: Json) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}


def kept(text: bytes | None, limit_bytes: int) -> Json:
    """Return a value as events carry it: one above the limit as its size, as the history keeps it."""
    if text is None:
        return None
    return decode(text) if len(text) <= limit_bytes else left_out(len(text), "")


def error_of(problem: Problem | None) -> Json:
    """Return a problem as the reference's `error`."""
    return None if problem is None else msgspec.to_builtins(problem)


@dataclass(frozen=True, kw_only=True)
class LifeCycle:
    """How moments become CloudEvents here."""

    source: str
    """What the source of every event begins with; the path of the definition follows."""

    kinds: frozenset[str] = REQUIRED
    """Those that are told."""

    limit_bytes: int = 64 * 1024
    """Outputs above this are told by their size."""

    def events(self, about: About, moments: Iterable[Moment]) -> Iterator[dict[str, Json]]:
        """Yield the CloudEvents of what is told."""
        for moment in moments:
            if moment.kind in self.kinds:
                yield self.event(about, moment)

    def event(self, about: About, moment: Moment) -> dict[str, Json]:
        """Return the CloudEvent of a moment, as JSON. Its id is the same however often it is made."""
        event: dict[str, Json] = {
            "specversion": "1.0",
            "id": f"{about.instance_id}:{moment.place}:{moment.kind}",
            "source": f"{self.source}/workflows/{about.namespace}/{about.workflow}/{about.version}",
            "type": type_of(moment.kind),
            "subject": about.instance_id,
            "time": instant(moment.at),
            "datacontenttype": "application/json",
        }
        # Extension attributes: the reference's data cannot tell the runs of one task apart.
        if moment.iteration is not None:
            event["iteration"] = moment.iteration
        if moment.attempt > 1:
            event["attempt"] = moment.attempt
        event["data"] = _data(about, moment)
        return event


def configured() -> LifeCycle:
    """Return how this installation tells it."""
    config = settings.LEMLINE
    own = config.events.lifecycle
    kinds = frozenset(TABLES) if own.status_changed else REQUIRED
    return LifeCycle(source=own.source, kinds=kinds, limit_bytes=config.history.max_value)


def _data(about: About, moment: Moment) -> dict[str, Json]:
    name = f"{about.workflow}-{about.instance_id}.{about.namespace}"
    at = instant(moment.at)
    definition = {"name": about.workflow, "namespace": about.namespace, "version": about.version}
    values = {"name": name, "workflow": name, "task": moment.position, "definition": definition, **moment.rest}
    return {
        member: at if member.endswith("At") else referred(values[member], about.instance_id)
        for member in TABLES[moment.kind]
        if member.endswith("At") or member in values
    }
