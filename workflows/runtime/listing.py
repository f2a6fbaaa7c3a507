"""Lists of instances and histories: filters, pages and their cursors."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Q

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.engine import decode_state
from workflows.runtime.audit import Actor
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.records import unpack
from workflows.runtime.views import InstanceView, instant

T = TypeVar("T")

SYNONYMS = {"active": "running", "failed": "faulted", "terminated": "cancelled"}
STATUSES = (*models.OPEN_STATUSES, *models.FINAL_STATUSES)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list."""

    items: list[T]
    next: str | None
    """Cursor of the next part; None at the end."""


@dataclass(frozen=True)
class HistoryView:
    """What happened to an instance."""

    tasks: Page[dict[str, Json]]
    phases: list[dict[str, Json]]


@dataclass(frozen=True, kw_only=True)
class InstanceFilter:
    """Which instances are wanted; None and empty mean all."""

    workflow: str | None = None
    """`namespace/name`."""

    version: str | None = None
    status: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    """Type of the problem: its URI, or the last part of it."""


def cursor_of(text: str) -> str:
    """Return the opaque form of a place in a list."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after_cursor(cursor: str, pattern: str) -> str:
    """Return the place that `cursor_of` made opaque; InvalidRequestError for anything else."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not re.fullmatch(pattern, text):
        raise InvalidRequestError("the cursor is not one that a list gave", errors=({"parameter": "cursor"},))
    return text


def read_instances(wanted: InstanceFilter, *, actor: Actor, limit: int, cursor: str | None) -> Page[InstanceView]:
    """Return instances, the newest first."""
    rows = models.Instance.objects.filter(_conditions(wanted, actor))
    if cursor:
        rows = rows.filter(pk__lt=after_cursor(cursor, r"[0-9a-f-]{36}"))
    found = list(rows.order_by("-pk")[: limit + 1])
    more = cursor_of(str(found[limit - 1].pk)) if len(found) > limit else None
    return Page(items=list(_views(found[:limit])), next=more)


def _conditions(wanted: InstanceFilter, actor: Actor) -> Q:
    conditions = Q()
    if actor.namespaces is not None:
        conditions &= Q(namespace__in=actor.namespaces)
    if wanted.workflow:
        namespace, _, name = wanted.workflow.rpartition("/")
        conditions &= Q(namespace=namespace or "default", workflow=name)
    if wanted.version:
        conditions &= Q(version=wanted.version)
    if wanted.status:
        conditions &= Q(status=_status(wanted.status))
    if wanted.since:
        conditions &= Q(created_at__gte=wanted.since)
    if wanted.until:
        conditions &= Q(created_at__lt=wanted.until)
    if wanted.error:
        conditions &= Q(problem_type=wanted.error) | Q(problem_type__endswith=f"/{wanted.error}")
    for key, value in wanted.labels.items():
        conditions &= Q(**{f"labels__{key}": value}) if "__" not in key else Q(labels__contains={key: value})
    return conditions


def _status(text: str) -> str:
    status = SYNONYMS.get(text, text)
    if status not in STATUSES:
        allowed = ", ".join((*STATUSES, *SYNONYMS))
        raise InvalidRequestError(
            f"{text} is no status", errors=({"parameter": "status", "message": f"one of {allowed}"},)
        )
    return status


def _views(rows: Sequence[models.Instance]) -> Iterable[InstanceView]:
    opened = [row.pk for row in rows if row.ended_at is None]
    states = (
        dict(models.Checkpoint.objects.filter(instance__in=opened).values_list("instance", "state")) if opened else {}
    )
    for row in rows:
        yield instance_view(row, _bytes(states.get(row.pk)))


def instance_view(row: models.Instance, stored: bytes | None) -> InstanceView:
    """Return the view of an instance row; `stored` is its checkpoint's state while it is open."""
    positions: Sequence[str] = ()
    context = row.context
    if stored is not None:
        state = decode_state(unpack(bytes(stored)), bytes(row.input))
        positions = state.positions()
        context = state.shared.text
    return InstanceView(
        id=str(row.pk), namespace=row.namespace, workflow=row.workflow, version=row.version, status=row.status,
        priority=row.priority, labels=row.labels, input=bytes(row.input), output=_bytes(row.output),
        context=_bytes(context), problem=_bytes(row.problem), positions=tuple(positions),
        parent=None if row.parent is None else str(row.parent), created_at=row.created_at,
        started_at=row.started_at, ended_at=row.ended_at,
    )  # fmt: skip


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def read_history(instance_id: UUID, *, limit: int, cursor: str | None) -> HistoryView:
    """Return ended runs in the order of their start, then those that go on; and every phase."""
    rows = models.History.objects.filter(instance=instance_id, is_phase=False).order_by("started_at", "pk")
    skip = int(after_cursor(cursor, r"\d+")) if cursor else 0
    found = list(rows[skip : skip + limit + 1])
    tasks = [_run(row, instance_id) for row in found[:limit]]
    more = cursor_of(str(skip + limit)) if len(found) > limit else None
    if more is None:
        tasks.extend(_running(instance_id))
        tasks.sort(key=lambda task: str(task["startedAt"]))
    phases = models.History.objects.filter(instance=instance_id, is_phase=True).order_by("step", "ordinal")
    return HistoryView(tasks=Page(items=tasks, next=more), phases=[_phase(row) for row in phases])


def _run(row: models.History, instance_id: UUID) -> dict[str, Json]:
    task: dict[str, Json] = {
        "position": row.position, "name": row.name, "kind": row.kind, "status": row.status, "attempt": row.attempt,
        "startedAt": instant(row.started_at), "endedAt": instant(row.ended_at), "pool": row.pool or None,
        "worker": row.worker or None,
    }  # fmt: skip
    if row.iteration is not None:
        task["iteration"] = row.iteration
    for name, value in (("input", row.input), ("output", row.output), ("error", row.problem)):
        if value is not None:
            task[name] = _referred(decode(bytes(value)), instance_id)
    return task


def _referred(value: Json, instance_id: UUID) -> Json:
    if isinstance(value, dict) and value.get("$truncated") is True and value.get("href") == "":
        return {**value, "href": f"/api/v1/instances/{instance_id}"}
    return value


def _running(instance_id: UUID) -> Iterable[dict[str, Json]]:
    found = models.Checkpoint.objects.filter(instance=instance_id, parked=False).values_list("state", "input").first()
    if found is None:
        return
    state = decode_state(unpack(bytes(found[0])), bytes(found[1]))
    for frame in state.running_tasks():
        yield {
            "position": frame.position, "name": frame.position.rpartition("/")[2], "kind": "", "status": "running",
            "attempt": frame.attempt, "startedAt": instant(frame.started_at), "endedAt": None, "pool": None,
            "worker": None, "input": decode(frame.raw.text),
        }  # fmt: skip


def _phase(row: models.History) -> dict[str, Json]:
    phase: dict[str, Json] = {"status": row.status, "at": instant(row.ended_at)}
    if row.reason:
        phase["reason"] = row.reason
    if row.by:
        phase["by"] = row.by
    return phase
