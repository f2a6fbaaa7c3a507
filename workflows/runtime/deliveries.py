"""What is on its way to sinks: who sends it, what is next, and what became of it.

A sink is held by one courier at a time. That one sends the events of an instance one after the other, in the order
of their ids, which is that of its steps' commits; instances do not wait for each other. A row goes once the sink has
its event, so a courier's death repeats what it had in hand and loses nothing. A courier that was stopped and goes on
after its lease may repeat too, but never sends an event before the sink has the one in front of it: whoever sends
goes by the same order.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet, Subquery

from workflows import models

WINDOW = 200
"""Rows looked at for what is next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An event on its way to one sink."""

    id: int
    instance: UUID
    attempts: int
    """How often it was refused before."""

    source: str
    event_id: str
    type: str
    event: bytes
    """JSON format."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When what failed is tried again, and when no more."""

    first: timedelta
    longest: timedelta
    attempts: int
    """After so many an event is a dead letter."""

    def pause(self, failures: int) -> timedelta:
        """Return how long to wait after so many failures in a row: twice as long each time, and never all at once."""
        seconds = min(self.longest.total_seconds(), self.first.total_seconds() * 2 ** min(failures, 30))
        return timedelta(seconds=seconds * random.uniform(0.5, 1.0))


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that the sink did not take."""

    letter: Letter
    problem: str
    counts: bool
    """Whether the event is to blame. If not, it only lets others go first."""


@dataclass(slots=True)
class Results:
    """What became of events of one sink."""

    taken: list[int] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    has_answered: bool = False
    """Whether the sink judged one of them, so that it is there."""

    away: str = ""
    """Why the sink is away; empty while it is not."""

    away_for: timedelta = timedelta()
    """How long it wants to be left alone."""

    def __bool__(self) -> bool:
        return bool(self.taken or self.failed or self.away)


RENEW = 2 / 3
"""Of a lease: with less than that left it is renewed."""


def hold(courier: UUID, now: datetime, lease: timedelta) -> list[models.Sink]:
    """Take every sink that nobody sends to, and return all that the courier has: for `RENEW` of a lease, at least."""
    ends_soon = Q(held_by=courier, held_until__lt=now + lease * RENEW)
    free = Q(held_by=None) | Q(held_until__lt=now) | ends_soon
    models.Sink.objects.filter(free).update(held_by=courier, held_until=now + lease)
    return list(models.Sink.objects.filter(held_by=courier))


def let_go(courier: UUID) -> None:
    """Leave them to others at once."""
    models.Sink.objects.filter(held_by=courier).update(held_by=None, held_until=None)


def waiting(courier: UUID, now: datetime) -> list[int]:
    """Return the sinks of a courier that something is due for: a probe of an index each."""
    due = models.OutgoingEvent.objects.filter(sink=OuterRef("pk"), given_up_at=None, due_at__lte=now)
    awake = Q(resting_until=None) | Q(resting_until__lte=now)
    rows = models.Sink.objects.filter(awake, Exists(due), held_by=courier)
    return list(rows.values_list("pk", flat=True))


def lanes(sink: int, now: datetime, besides: Iterable[UUID]) -> list[list[Letter]]:
    """Return what can be sent now: for each instance its next events, in their order.

    Args:
        sink: For which sink.
        now: Database time.
        besides: Instances whose events are being sent.
    """
    rows = _open(sink)
    before = rows.filter(instance=OuterRef("instance"), pk__lt=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    due = rows.filter(due_at__lte=now).exclude(instance__in=list(besides)).order_by("due_at", "pk")
    found = list(due.annotate(before=Subquery(before))[:WINDOW])
    order = {row.instance: number for number, row in reversed(list(enumerate(found)))}
    found.sort(key=lambda row: (order[row.instance], row.pk))
    made = []
    for instance, group in groupby(found, key=attrgetter("instance")):
        letters = _unbroken(list(group))
        if letters:
            made.append(letters)
        else:
            _wait_in_line(sink, instance)
    return made


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a sink is away."""

    failures: int = 0
    """How often in a row it was."""

    resting_until: datetime | None = None


def settle(sink: int, results: Results, policy: Policy, now: datetime) -> Standing:
    """Store what became of events, and return how the sink stands."""
    with transaction.atomic():
        row = models.Sink.objects.select_for_update().filter(pk=sink).first()
        if row is not None:
            _store(row, results, policy, now)
        models.OutgoingEvent.objects.filter(pk__in=results.taken).delete()
        for failure in results.failed:
            _postpone(failure, policy, now)
    return Standing() if row is None else Standing(row.failures, row.resting_until)


def drop_orphans() -> None:
    """Remove rows of sinks that are gone: steps may write some for a moment after a sink was removed."""
    last = 0
    while (sink := _open_above(last)) is not None:
        if not models.Sink.objects.filter(pk=sink).exists():
            models.OutgoingEvent.objects.filter(sink=sink).delete()
        last = sink


def redeliver(letters: Mapping[str, object], now: datetime) -> int:
    """Have dead letters sent again, as if for the first time, and return how many there were.

    Args:
        letters: Lookups that choose them.
        now: Database time.
    """
    rows = models.OutgoingEvent.objects.filter(**letters, given_up_at__isnull=False)
    return int(rows.update(given_up_at=None, attempts=0, due_at=now))


def _open(sink: int) -> QuerySet[models.OutgoingEvent]:
    return models.OutgoingEvent.objects.filter(sink=sink, given_up_at=None)


def _open_above(sink: int) -> int | None:
    rows = models.OutgoingEvent.objects.filter(given_up_at=None, sink__gt=sink)
    found: int | None = rows.aggregate(first=Min("sink"))["first"]
    return found


def _unbroken(rows: list[models.OutgoingEvent]) -> list[Letter]:
    """Return the rows of an instance from its first one on, up to where one between them is not due."""
    letters: list[Letter] = []
    for row in rows:
        if row.before != (letters[-1].id if letters else None):  # type: ignore[attr-defined]  # annotated
            break
        letters.append(
            Letter(
                id=row.pk, instance=row.instance, attempts=row.attempts, source=row.source, event_id=row.event_id,
                type=row.type, event=bytes(row.event),
            )
        )  # fmt: skip
    return letters


def _wait_in_line(sink: int, instance: UUID) -> None:
    """Have events that are due wait for the first of their instance, which is not: else they were found each time."""
    rows = _open(sink).filter(instance=instance)
    first = rows.order_by("pk").first()
    if first is not None:
        rows.filter(due_at__lt=first.due_at).update(due_at=first.due_at)


def _store(row: models.Sink, results: Results, policy: Policy, now: datetime) -> None:
    if results.taken:
        row.delivered, row.delivered_at = row.delivered + len(results.taken), now
    if results.has_answered:
        row.failures, row.resting_until, row.problem = 0, None, ""
    if results.away:
        row.resting_until = now + max(policy.pause(row.failures), min(results.away_for, MOST_AWAY))
        row.failures, row.problem = row.failures + 1, results.away
    if results.has_answered or results.away:
        row.save(update_fields=("delivered", "delivered_at", "failures", "resting_until", "problem"))


MOST_AWAY = timedelta(hours=1)
"""A sink that asks for more is asked again after so long."""


def _postpone(failure: Failure, policy: Policy, now: datetime) -> None:
    letter = failure.letter
    attempts = letter.attempts + failure.counts
    is_over = attempts >= policy.attempts
    models.OutgoingEvent.objects.filter(pk=letter.id, given_up_at=None).update(
        attempts=F("attempts") + int(failure.counts),
        problem=failure.problem,
        due_at=now + policy.pause(attempts),
        given_up_at=now if is_over else None,
    )
