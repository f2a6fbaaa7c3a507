"""Lists of instances: filters, pages and their cursors."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet

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
    """Return instances, the newest first.

    Reads along one index, chosen by what is wanted, and leaves out what else does not fit. After `MOST_READ` the page
    ends early, with fewer instances than the limit or none; `next` goes on from there.
    """
    walk = _walk(wanted, actor, _place(cursor) if cursor else None)
    fitting = _fitting(wanted, actor)
    window = WINDOW if fitting else limit + 1
    found: list[models.Instance] = []
    for _ in range(0, MOST_READ, window):
        places = list(walk.read(window))
        rows = models.Instance.objects.filter(fitting, pk__in=[key for _, key in places])
        found += rows.order_by("-created_at", "-pk")[: limit + 1 - len(found)]
        if len(found) > limit:
            last = found[limit - 1]
            return Page(items=list(_views(found[:limit])), next=_cursor((last.created_at, last.pk)))
        if len(places) < window:
            return Page(items=list(_views(found)), next=None)
        walk = replace(walk, before=places[-1])
    return Page(items=list(_views(found)), next=_cursor(places[-1]))


WINDOW = 1000
"""Places read at once where not each of them fits."""

MOST_READ = 20_000
"""Places read for one page: with a million instances, a rare combination does not read them all."""

_Place = tuple[datetime, UUID]


@dataclass(frozen=True)
class _Walk:
    """The way along an index, backwards in time."""

    rows: QuerySet[Any]
    """Of instances or labels."""

    key: str
    """Their column that names the instance."""

    before: _Place | None

    def read(self, limit: int) -> Iterable[_Place]:
        """Return the next places."""
        rows = self.rows
        if self.before is not None:
            at, last = self.before
            # The first condition bounds the index; the second one leaves out what a moment has beyond the place.
            rows = rows.filter(Q(created_at__lt=at) | Q(**{f"{self.key}__lt": last}), created_at__lte=at)
        return rows.order_by("-created_at", f"-{self.key}").values_list("created_at", self.key)[:limit]


def _walk(wanted: InstanceFilter, actor: Actor, before: _Place | None) -> _Walk:
    """Choose the narrowest index that there is for what is wanted."""
    times = Q()
    if wanted.since:
        times &= Q(created_at__gte=wanted.since)
    if wanted.until:
        times &= Q(created_at__lt=wanted.until)
    if wanted.labels:
        key, value = min(wanted.labels.items())
        return _Walk(models.Label.objects.filter(times, key=key, value=value), "instance", before)
    return _Walk(models.Instance.objects.filter(times, _narrowest(wanted, actor)), "id", before)


def _narrowest(wanted: InstanceFilter, actor: Actor) -> Q:
    if wanted.error:
        return ~Q(problem_type="")
    if wanted.status and _status(wanted.status) != "completed":
        # The index's own condition is said, since the database does not infer it from a parameter.
        return Q(status=_status(wanted.status)) & ~Q(status="completed")
    if wanted.workflow:
        return _of_workflow(wanted.workflow)
    if actor.namespaces is not None and len(actor.namespaces) == 1:
        return Q(namespace=min(actor.namespaces))
    return Q()


def _of_workflow(text: str) -> Q:
    namespace, _, name = text.rpartition("/")
    return Q(namespace=namespace or "default", workflow=name)


def _fitting(wanted: InstanceFilter, actor: Actor) -> Q:
    """What an instance must be besides its place on the way; empty when the way leads past no other."""
    conditions = Q()
    narrowest = Q() if wanted.labels else _narrowest(wanted, actor)
    if actor.namespaces is not None and narrowest != Q(namespace=min(actor.namespaces, default="")):
        conditions &= Q(namespace__in=actor.namespaces)
    if wanted.workflow and narrowest != _of_workflow(wanted.workflow):
        conditions &= _of_workflow(wanted.workflow)
    if wanted.version:
        conditions &= Q(version=wanted.version)
    if wanted.status and (wanted.labels or wanted.error or _status(wanted.status) == "completed"):
        conditions &= Q(status=_status(wanted.status))
    if wanted.error:
        conditions &= Q(problem_type=wanted.error) | Q(problem_type__endswith=f"/{wanted.error}")
    for key, value in sorted(wanted.labels.items())[1:]:
        conditions &= Q(pk__in=models.Label.objects.filter(key=key, value=value).values("instance"))
    return conditions


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _cursor(place: _Place) -> str:
    return cursor_of(f"{(place[0] - _EPOCH) // timedelta(microseconds=1)} {place[1]}")


def _place(cursor: str) -> _Place:
    microseconds, _, key = after_cursor(cursor, f"[0-9]{{1,17}} {_ID}").partition(" ")
    return _EPOCH + timedelta(microseconds=int(microseconds)), UUID(key)


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
