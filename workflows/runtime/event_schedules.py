"""Starts by events (`schedule.on`): what the processor offers to schedules.

A schedule takes an event once: what it has taken is recorded with what came of it, in one transaction under the lock of
the schedule's row. So whoever offers need not know what became of an earlier offer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from workflows import models
from workflows.dsl.jsontext import encode
from workflows.runtime import causes
from workflows.runtime.event_strategies import Strategies
from workflows.runtime.firing import Firing, Start
from workflows.runtime.gatherings import Event, Gatherings, Strategy
from workflows.runtime.process import Process


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An event that a schedule's subscription fits."""

    schedule: int
    event: Event
    scope: str = ""
    """What its source and id are unique in."""

    @property
    def key(self) -> str:
        """What the event is known by."""
        return causes.key_of(self.scope, self.event["source"], self.event["id"])


class EventSchedules:
    """Takes events for schedules, and starts what they complete."""

    @classmethod
    def of(cls, process: Process) -> "EventSchedules":
        """Return those of a process."""
        return cls(Firing(process), Strategies(process.definitions.get))

    def __init__(self, firing: Firing, strategy_of: Callable[[models.Schedule], Strategy]) -> None:
        self._firing = firing
        self._strategy_of = strategy_of

    def hear(self, offers: Sequence[Offer], now: datetime) -> int:
        """Have schedules take events, in their order, and return how many instances were started.

        What was taken before changes nothing, and neither does an offer to a schedule that is paused or gone. Returns
        once all is committed.
        """
        with transaction.atomic():
            rows = _locked(offers)
            fresh = _fresh([offer for offer in offers if offer.schedule in rows])
            starts: list[Start] = []
            for schedule, row in rows.items():
                starts += self._take(row, [offer for offer in fresh if offer.schedule == schedule], now)
            begun = self._firing.start(starts, now)
            for start, _ in begun:
                start.schedule.save(update_fields=("fired_at", "fires"))
        self._firing.follow(instance for _, instance in begun)
        return len(begun)

    def _take(self, row: models.Schedule, offers: Sequence[Offer], now: datetime) -> list[Start]:
        gatherings = Gatherings(row, self._strategy_of(row))
        gatherings.load(offer.event for offer in offers)
        starts, taken = [], []
        for offer in offers:
            took, events = gatherings.hear(offer.event)
            if took:
                taken.append(offer.key)
            if events is not None:
                # The event that completes it makes it what it is: no other gathering takes that one.
                cause = causes.of_events([offer.key])
                starts.append(Start(schedule=row, cause=cause, sort="event", input=encode(events)))
        gatherings.store(now)
        models.HeardEvent.objects.bulk_create(models.HeardEvent(schedule=row, event=key, at=now) for key in taken)
        return starts


def _locked(offers: Sequence[Offer]) -> dict[int, models.Schedule]:
    wanted = {offer.schedule for offer in offers}
    rows = models.Schedule.objects.filter(pk__in=wanted, kind="on", paused_at__isnull=True)
    return {row.pk: row for row in rows.order_by("pk").select_for_update()}


def _fresh(offers: Sequence[Offer]) -> list[Offer]:
    """Return those that were not taken before, each once."""
    known = set(
        models.HeardEvent.objects.filter(
            schedule__in={offer.schedule for offer in offers}, event__in={offer.key for offer in offers}
        ).values_list("schedule", "event")
    )
    fresh = []
    for offer in offers:
        if (offer.schedule, offer.key) not in known:
            known.add((offer.schedule, offer.key))
            fresh.append(offer)
    return fresh
