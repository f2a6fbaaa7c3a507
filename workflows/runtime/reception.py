"""CloudEvents at the doors: who may bring them where, and what was received."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.runtime import events
from workflows.runtime.audit import Actor
from workflows.runtime.errors import NotFoundError
from workflows.runtime.event_rules import Event
from workflows.runtime.events import Received
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.views import instant

MOST_READ = 20_000
"""Rows looked at for one page: with a million events, a rare type does not read them all."""

CHUNK = 20
"""Rows that are fetched at once: each may be as large as an event may be."""

MOST_BYTES = 8 * 1024 * 1024
"""Events of one page together; the first one is there whatever its size."""


RECENT = 1000
"""Ids of events that may still be missing among those that are there: they are given out before a commit."""


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events are wanted; None means all."""

    type: str | None = None
    source: str | None = None
    since: datetime | None = None
    """Received then or later."""


@dataclass(frozen=True)
class ReceivedView:
    """A received event as the doors show it."""

    row: models.ReceivedEvent

    @property
    def event(self) -> Event:
        """As it was accepted."""
        found: Event = decode(bytes(self.row.event))
        return found

    def to_json(self) -> dict[str, Json]:
        """Return the body of the API's answer."""
        return {
            "receivedAt": instant(self.row.received_at),
            "namespace": self.row.scope or None,
            "event": self.event,
        }


def publish(brought: Sequence[Event], *, actor: Actor, namespace: str | None = None) -> Received:
    """Accept events, which means that they are stored: all of them, each once by source and id.

    Args:
        brought: Checked by `event_rules`.
        actor: Who brings them.
        namespace: Where they live when namespaces have buses of their own. Default: the actor's only one, else
            `default`.

    Raises:
        NotFoundError: The namespace does not exist for the actor.
        OverloadedError: Too many are not worked on yet.
    """
    if namespace is None:
        seen = actor.namespaces or frozenset()
        namespace = next(iter(seen)) if len(seen) == 1 else "default"
    if not actor.sees(namespace):
        raise NotFoundError(f"namespace {namespace} does not exist")
    return events.receive(brought, namespace=namespace, by=f"{actor.door}/{actor.name}"[:150])


def list_events(wanted: EventFilter, *, actor: Actor, limit: int, cursor: str | None = None) -> Page[ReceivedView]:
    """Return received events, the newest first: of the shared bus, and of the actor's namespaces where those have
    their own.

    After `MOST_READ` rows or `MOST_BYTES` the page ends early; `next` goes on from there.
    """
    seen = seen_by(actor.namespaces)
    if wanted.since is not None:
        seen = seen.filter(received_at__gte=wanted.since)
    before = int(after_cursor(cursor, "[0-9]{1,18}")) if cursor else 1 + (_latest() or 0)
    bottom = before - MOST_READ
    fitting = seen.filter(pk__lt=before, pk__gte=bottom, **_exact(wanted)).order_by("-pk")[: limit + 1]
    found: list[ReceivedView] = []
    size = 0
    for row in fitting.iterator(chunk_size=CHUNK):
        size += len(row.event)
        if len(found) == limit or (found and size > MOST_BYTES):
            return Page(found, cursor_of(str(found[-1].row.pk)))
        found.append(ReceivedView(row))
    return Page(found, cursor_of(str(bottom)) if seen.filter(pk__lt=bottom).exists() else None)


class Following:
    """What is received from now on, in the order in which it becomes visible."""

    def __init__(self, wanted: EventFilter, *, actor: Actor) -> None:
        self._rows = seen_by(actor.namespaces).filter(**_exact(wanted)).order_by("pk")
        self._bottom = (_latest() or 0) - RECENT
        self._known = set(self._keys())

    def read(self) -> list[ReceivedView]:
        """Return what is there now and was not before; some of it, when that is much."""
        fresh = [key for key in self._keys() if key not in self._known][:CHUNK]
        self._known.update(fresh)
        if fresh:
            self._bottom = max(self._bottom, fresh[-1] - RECENT)
            self._known = {key for key in self._known if key > self._bottom}
        return [ReceivedView(row) for row in self._rows.filter(pk__in=fresh)]

    def _keys(self) -> list[int]:
        return list(self._rows.filter(pk__gt=self._bottom).values_list("pk", flat=True)[: 2 * RECENT])


def _latest() -> int | None:
    return models.ReceivedEvent.objects.order_by("-pk").values_list("pk", flat=True).first()


def seen_by(namespaces: frozenset[str] | None) -> QuerySet[models.ReceivedEvent]:
    """Return the events of the shared bus, and of these namespaces where those have their own; None is all."""
    rows = models.ReceivedEvent.objects.all()
    return rows if namespaces is None else rows.filter(scope__in=("", *namespaces))


def _exact(wanted: EventFilter) -> dict[str, str]:
    named = {"type": wanted.type, "source": wanted.source}
    return {name: text for name, text in named.items() if text is not None}
