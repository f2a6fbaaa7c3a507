"""Starts what schedules want: within one transaction the instance, the record of the start, and the next due time.

The schedule's row is the lock of all that it starts, and a start is unique on its cause. So any number of timekeepers
may look at once, whoever died left either everything or nothing, and what was started is not started again by a
backfill or after an outage. An instance begins pending; its first step is taken after the commit,
or by whichever timekeeper finds it due.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
import uuid6
from django.conf import settings
from django.db import transaction

from workflows import models
from workflows.runtime import causes
from workflows.runtime.moments import Plan, plan, times_of
from workflows.runtime.ports import Outcome
from workflows.runtime.process import Process
from workflows.runtime.records import Birth, Changes
from workflows.runtime.step import Due
from workflows.runtime.views import instant

SCHEDULES = 200
"""Schedules of one transaction at most."""

STARTS = 20
"""Starts of one schedule in one transaction at most: one that has many to catch up with lets others go in between."""

SCHEDULE_LABEL, DUE_LABEL = "lemline.schedule", "lemline.dueAt"

Sort = Literal["due", "backfill", "trigger", "event"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """One instance that a schedule is to start."""

    schedule: models.Schedule
    cause: str
    sort: Sort
    due_at: datetime | None = None
    input: bytes = b"{}"
    by: str = ""


class Firing:
    """Starts instances of schedules. What is written is part of the transaction that the caller has begun."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def fire_due(self, now: datetime, but: Sequence[int] = (), only: int | None = None) -> list[int]:
        """Start what is due and nobody else has in hand, and return the schedules.

        Args:
            now: When this is, by the database's clock.
            but: Schedules to leave alone.
            only: The one to look at; None for all.
        """
        with transaction.atomic():
            rows = models.Schedule.objects.due(now).exclude(pk__in=but)
            if only is not None:
                rows = rows.filter(pk=only)
            found = list(rows.select_for_update(skip_locked=True)[:SCHEDULES])
            plans = [(row, self._plan(row, now)) for row in found]
            starts = [start for row, planned in plans for start in _starts(row, planned)]
            begun = self.start(starts, now)
            for row, planned in plans:
                _move_on(row, planned, begun)
            _store(found)
        self.follow(instance for _, instance in begun)
        return [row.pk for row in found]

    def _plan(self, row: models.Schedule, now: datetime) -> Plan:
        assert row.due_at is not None
        times = times_of(row.kind, row.text, row.time_zone, row.anchor_at)
        if times is None:
            return Plan(starts=[row.due_at], next_at=None)
        missed_after = settings.LEMLINE.schedules.missed_after
        return plan(times, row.due_at, now, catch_up=row.catch_up, missed_after=missed_after, most=STARTS)

    def start(self, starts: Sequence[Start], now: datetime) -> list[tuple[Start, str]]:
        """Write what is not started yet, and return it with the ids of the instances.

        The caller has locked the schedules, and stores what they count.
        """
        known = _known(starts)
        fresh = [start for start in starts if (start.schedule.pk, start.cause) not in known]
        begun = [(start, str(uuid6.uuid7())) for start in fresh]
        if not begun:
            return []
        changes = Changes()
        steps = self._process.steps
        for start, instance in begun:
            steps.write(steps.deferred(steps.unborn(_birth(start, instance, now))), now, changes)
        self._process.records.write(changes)
        models.Fire.objects.bulk_create(
            models.Fire(
                schedule=start.schedule, cause=start.cause, sort=start.sort, due_at=start.due_at, at=now,
                instance=instance, by=start.by[:150],
            )
            for start, instance in begun
        )  # fmt: skip
        for start, _ in begun:
            start.schedule.fired_at = now
            start.schedule.fires += 1
        return begun

    def follow(self, instances: Iterable[str]) -> None:
        """Have the first steps taken; to be called once the transaction has been committed."""
        for instance in instances:
            self._process.stepper.submit(instance, Due(), _heard)


def _heard(outcome: Outcome) -> None:
    """Whatever became of it: until it has begun, a timekeeper finds it due."""


def _starts(row: models.Schedule, planned: Plan) -> Iterable[Start]:
    for due_at in planned.starts:
        yield Start(schedule=row, cause=causes.of_time(due_at), sort="due", due_at=due_at)


def _move_on(row: models.Schedule, planned: Plan, begun: Iterable[tuple[Start, str]]) -> None:
    row.due_at = planned.next_at
    row.missed_at = planned.missed_at or row.missed_at
    if row.kind == "after":
        row.awaited = next((UUID(instance) for start, instance in begun if start.schedule.pk == row.pk), None)


def _store(rows: Sequence[models.Schedule]) -> None:
    """Write what has changed of locked rows: by an insertion that finds them all, a fifth as dear as `bulk_update`."""
    changed = ("due_at", "awaited", "missed_at", "fired_at", "fires")
    models.Schedule.objects.bulk_create(rows, update_conflicts=True, unique_fields=("id",), update_fields=changed)


def _known(starts: Sequence[Start]) -> set[tuple[int, str]]:
    rows = models.Fire.objects.filter(
        schedule__in={start.schedule.pk for start in starts}, cause__in=[start.cause for start in starts]
    )
    return set(rows.values_list("schedule", "cause"))


def _birth(start: Start, instance: str, now: datetime) -> Birth:
    row = start.schedule
    labels = {SCHEDULE_LABEL: str(row.pk)}
    if start.due_at is not None:
        labels[DUE_LABEL] = str(instant(start.due_at))
    return Birth(
        instance_id=instance, definition=row.definition_id, namespace=row.namespace, workflow=row.workflow,
        version=row.version, priority=settings.LEMLINE.execution.prioritization.default_level,
        labels=msgspec.json.encode(labels).decode(), input=start.input, created_at=now,
    )  # fmt: skip
