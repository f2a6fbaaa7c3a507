"""Who has to hear of a batch of events: read by hash, in one statement with the interests that are new."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection

from workflows import models
from workflows.dsl.jsontext import decode
from workflows.runtime.event_rows import Event
from workflows.runtime.event_sql import as_uuid, marks, moment, spelled
from workflows.runtime.interests import Interests
from workflows.runtime.subscriptions import Wait

BATCH = 256
"""Events of one transaction at most."""

BATCH_BYTES = 8 * 1024 * 1024
"""The same in bytes, more or less."""

NOBODY = UUID(int=0)
Who = TypeVar("Who", Wait, int)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stored event."""

    id: int
    scope: str
    received_at: datetime | None
    expires_at: datetime | None
    event: Event


@dataclass(slots=True)
class Batch:
    """Events that are in hand."""

    arrivals: list[Arrival] = field(default_factory=list)
    pending: list[tuple[int, int]] = field(default_factory=list)
    """Lane and id of what is done with it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A subscription that an event fits."""

    match: UUID
    wait: Wait | None
    """None for a schedule's."""

    schedule: int | None
    since: datetime | None
    is_behind: bool
    """Whether it has still to be offered what came before it."""


@dataclass(slots=True)
class Audience:
    """Whom a batch concerns."""

    listeners: list[Listener] = field(default_factory=list)
    by_match: dict[UUID, list[int]] = field(default_factory=dict)
    """Hash to the places of its events in the batch, in order."""

    keys: list[tuple[UUID, int]] = field(default_factory=list)
    """Hash and place of those that are kept for who comes later."""

    def heard(self, arrivals: Sequence[Arrival]) -> dict[Wait, list[Arrival]]:
        """Return who hears what: in order, each event once."""
        return self._heard([(each.wait, each) for each in self.listeners if each.wait is not None], arrivals)

    def scheduled(self, arrivals: Sequence[Arrival]) -> dict[int, list[Arrival]]:
        """Return the same for schedules."""
        return self._heard([(each.schedule, each) for each in self.listeners if each.schedule is not None], arrivals)

    def _heard(
        self, listeners: Iterable[tuple[Who, Listener]], arrivals: Sequence[Arrival]
    ) -> dict[Who, list[Arrival]]:
        found: dict[Who, set[int]] = defaultdict(set)
        for who, listener in listeners:
            found[who].update(self._fitting(listener, arrivals))
        return {who: [arrivals[place] for place in sorted(places)] for who, places in found.items() if places}

    def _fitting(self, listener: Listener, arrivals: Sequence[Arrival]) -> Iterable[int]:
        places = self.by_match.get(listener.match, ())
        if listener.since is None:
            return places
        return [place for place in places if _is_since(arrivals[place], listener.since)]


def _is_since(arrival: Arrival, since: datetime) -> bool:
    return arrival.received_at is not None and arrival.received_at >= since


_BATCH = (
    "SELECT lane, id, scope, event, received_at, expires_at FROM (SELECT p.lane, p.event AS id, e.scope, e.event,"
    " e.received_at, e.expires_at, sum(length(e.event)) OVER (ORDER BY p.event) - length(e.event) AS before FROM"
    " (SELECT lane, event FROM workflows_pendingevent WHERE lane IN ({lanes}) ORDER BY event LIMIT %s) AS p"
    " LEFT JOIN workflows_receivedevent e ON e.id = p.event) AS b WHERE before IS NULL OR before < %s ORDER BY id"
)
_FIND = (
    "SELECT s.match, s.instance, s.wait, s.schedule, s.since, EXISTS (SELECT 1 FROM workflows_lookback b"
    " WHERE b.instance = s.instance AND b.wait = s.wait), NULL FROM workflows_subscription s"
    " WHERE s.match IN ({matches})"
    " UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, i.digest FROM workflows_interest i"
    " WHERE i.type IN ({types}) AND i.digest NOT IN ({known})"
)
_LEARN = "SELECT digest, text, kept FROM workflows_interest WHERE digest IN ({digests})"


def next_batch(lanes: Sequence[int]) -> Batch:
    """Return what waits longest in some lanes that this process holds."""
    batch = Batch()
    with connection.cursor() as cursor:
        cursor.execute(_BATCH.format(lanes=marks(lanes)), [*lanes, BATCH, BATCH_BYTES])
        for lane, key, scope, text, received_at, expires_at in cursor.fetchall():
            batch.pending.append((lane, key))
            # One whose row is gone, by hand, concerns nobody.
            if text is not None:
                times = moment(received_at), moment(expires_at)
                batch.arrivals.append(Arrival(key, scope, *times, decode(bytes(text))))
    return batch


def find_audience(arrivals: Sequence[Arrival], interests: Interests) -> Audience:
    """Return whom these concern, as of one moment that is after all of them were accepted."""
    types = sorted({str(each.event["type"]) for each in arrivals} | {""})
    while True:
        audience = hashed(arrivals, interests)
        found, unknown = _find(list(audience.by_match), types, interests.of_types(types))
        if not unknown:
            audience.listeners = found
            return audience
        learn(unknown, interests)


def learn(digests: Sequence[str], interests: Interests) -> None:
    """Read interests that are new to this process."""
    with connection.cursor() as cursor:
        cursor.execute(_LEARN.format(digests=marks(digests)), list(digests))
        interests.learn(cursor.fetchall())


def read_arrival(row: models.ReceivedEvent) -> Arrival:
    """Return an event of a row that was read."""
    return Arrival(row.pk, row.scope, row.received_at, row.expires_at, decode(bytes(row.event)))


def hashed(arrivals: Sequence[Arrival], interests: Interests) -> Audience:
    """Return what these are found by, without anybody who finds them."""
    audience = Audience()
    for place, arrival in enumerate(arrivals):
        for match, known in interests.matches(arrival.event, arrival.scope):
            audience.by_match.setdefault(match, []).append(place)
            if known.kept:
                audience.keys.append((match, place))
    return audience


def _find(matches: Sequence[UUID], types: Sequence[str], known: Sequence[str]) -> tuple[list[Listener], list[str]]:
    wanted, known = matches or [NOBODY], known or [""]
    sql = _FIND.format(matches=marks(wanted), types=marks(types), known=marks(known))
    with connection.cursor() as cursor:
        cursor.execute(sql, [*map(spelled, wanted), *types, *known])
        rows = cursor.fetchall()
    unknown = [row[-1] for row in rows if row[-1] is not None]
    return [_listener(row) for row in rows if row[-1] is None], unknown


def _listener(row: Sequence[Any]) -> Listener:
    match, instance, wait, schedule, since, is_behind, _ = row
    owner = None if instance is None else (str(as_uuid(instance)), wait)
    return Listener(as_uuid(match), owner, schedule, moment(since), bool(is_behind))


def finish(batch: Batch, audience: Audience, gone: Sequence[str]) -> None:
    """Write that a batch has been offered to all whom it concerns, and let go of subscriptions whose instance is gone.

    The keys by which it is found later are there as soon as it is done.
    """
    write_keys([(match, batch.arrivals[place]) for match, place in audience.keys])
    with connection.cursor() as cursor:
        done = ", ".join(["(%s, %s)"] * len(batch.pending))
        sql = f"DELETE FROM workflows_pendingevent WHERE (lane, event) IN (VALUES {done})"
        cursor.execute(sql, [value for row in batch.pending for value in row])
        if some := gone[:BATCH]:
            sql = f"DELETE FROM workflows_subscription WHERE instance IN ({marks(some)})"
            cursor.execute(sql, [spelled(UUID(instance)) for instance in some])


def write_keys(keys: Sequence[tuple[UUID, Arrival]]) -> None:
    """Have events be found by hashes, as long as they are kept."""
    rows = [(spelled(match), arrival.id, arrival.expires_at) for match, arrival in keys if arrival.expires_at]
    if not rows:
        return
    values = ", ".join(["(%s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO workflows_eventkey (match, event, expires_at) VALUES {values} ON CONFLICT DO NOTHING",
            [value for row in rows for value in row],
        )
