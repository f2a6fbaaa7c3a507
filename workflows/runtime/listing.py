"""Lists of instances: filters, pages and their cursors."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Q

from workflows import models
from workflows.engine import decode_state
from workflows.runtime.audit import Actor
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.records import unpack
from workflows.runtime.views import InstanceView

T = TypeVar("T")

SYNONYMS = {"active": "running", "failed": "faulted", "terminated": "cancelled"}
_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STATUSES = (*models.OPEN_STATUSES, *models.FINAL_STATUSES)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list."""

    items: list[T]
    next: str | None
    """Cursor of the next part; None at the end."""


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
        message = "the cursor is not one that this list gave"
        raise InvalidRequestError(message, errors=({"parameter": "cursor", "message": message},))
    return text


def read_instances(wanted: InstanceFilter, *, actor: Actor, limit: int, cursor: str | None) -> Page[InstanceView]:
    """Return instances, the newest first."""
    rows = models.Instance.objects.filter(_conditions(wanted, actor))
    for key, value in wanted.labels.items():
        rows = rows.labelled(key, value)
    if cursor:
        rows = rows.filter(pk__lt=after_cursor(cursor, _ID))
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
