"""Schedules as people manage them: look, pause, resume, trigger, backfill."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from workflows import models
from workflows.dsl.jsontext import Json
from workflows.runtime import causes, timetables
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import InvalidRequestError, NotFoundError, OperationRefusedError
from workflows.runtime.firing import Firing, Start
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.moments import times_of
from workflows.runtime.process import current
from workflows.runtime.views import instant

LAST_FIRES = 10
"""Fires that a schedule is shown with."""


@dataclass(frozen=True, kw_only=True)
class ScheduleView:
    """A schedule as the doors show it."""

    row: models.Schedule
    next_at: datetime | None
    """The next start; None while it is paused, or waits for an end or for events."""

    fires: tuple[models.Fire, ...] = ()
    """The last ones, latest first."""

    def to_json(self) -> dict[str, Json]:
        """Return the body of the API's answer."""
        row = self.row
        return {
            "id": str(row.pk),
            "workflow": {"namespace": row.namespace, "name": row.workflow, "version": row.version},
            "kind": row.kind,
            "expression": row.text,
            "timeZone": row.time_zone or None,
            "catchUp": row.catch_up or None,
            "status": "paused" if row.paused_at else "active",
            "nextFireAt": instant(self.next_at),
            "awaitedInstance": None if row.awaited is None else str(row.awaited),
            "lastFireAt": instant(row.fired_at),
            "fireCount": row.fires,
            "lastMissedAt": instant(row.missed_at),
            "pausedAt": instant(row.paused_at),
            "pausedBy": row.paused_by or None,
            "createdAt": instant(row.created_at),
            "fires": [fire_json(fire) for fire in self.fires],
        }


@dataclass(frozen=True)
class Backfilled:
    """What a backfill came to."""

    instances: tuple[str, ...]
    """What was started, in the order of the due times."""

    skipped: int
    """Due times of the window that something had been started for."""

    def to_json(self) -> dict[str, Json]:
        """Return the body of the API's answer."""
        return {"started": len(self.instances), "skipped": self.skipped, "instances": list(self.instances)}


def fire_json(fire: models.Fire) -> dict[str, Json]:
    """Return one start as the doors show it."""
    return {
        "instance": str(fire.instance),
        "kind": fire.sort,
        "dueAt": instant(fire.due_at),
        "at": instant(fire.at),
        "by": fire.by or None,
    }


def last_fires(row: models.Schedule, most: int) -> list[models.Fire]:
    """Return what it started last, the latest first."""
    return list(models.Fire.objects.filter(schedule=row).order_by("-at", "-id")[:most])


def list_schedules(
    *, actor: Actor, namespace: str | None = None, name: str | None = None, limit: int, cursor: str | None
) -> Page[ScheduleView]:
    """Return schedules by namespace and workflow, each with its last fires."""
    rows = models.Schedule.objects.all()
    if actor.namespaces is not None:
        rows = rows.filter(namespace__in=actor.namespaces)
    if namespace:
        rows = rows.filter(namespace=namespace)
    if name:
        rows = rows.filter(workflow=name)
    if cursor:
        last, _, workflow = after_cursor(cursor, r"[^/\x00]+/[^/\x00]+").partition("/")
        rows = rows.filter(Q(namespace__gt=last) | Q(namespace=last, workflow__gt=workflow))
    found = list(rows.order_by("namespace", "workflow")[: limit + 1])
    following = cursor_of(f"{found[limit - 1].namespace}/{found[limit - 1].workflow}") if len(found) > limit else None
    return Page(items=[_view(row, 1) for row in found[:limit]], next=following)


def get_schedule(schedule: int, *, actor: Actor) -> ScheduleView:
    """Return one schedule with its last fires."""
    return _view(_find(models.Schedule.objects.all(), schedule, actor), LAST_FIRES)


def pause(schedule: int, *, actor: Actor, reason: str = "") -> ScheduleView:
    """Have it start nothing until it is resumed. What is due meanwhile is not missed: it was not wanted."""
    now = current().clock.now()
    with _locked(schedule, actor) as row:
        if row.paused_at is None:
            row.paused_at, row.paused_by = now, actor.name[:150]
            _store(row, actor, "schedule.pause", reason, now)
    return get_schedule(schedule, actor=actor)


def resume(schedule: int, *, actor: Actor, reason: str = "") -> ScheduleView:
    """Have a paused one go on with its next due time."""
    now = current().clock.now()
    with _locked(schedule, actor) as row:
        if row.paused_at is not None:
            times = times_of(row.kind, row.text, row.time_zone, row.anchor_at)
            row.paused_at, row.paused_by = None, ""
            row.due_at = row.due_at if times is None else times.after(now)
            _store(row, actor, "schedule.resume", reason, now)
    return get_schedule(schedule, actor=actor)


def trigger(schedule: int, *, actor: Actor, reason: str = "", key: str | None = None) -> models.Fire:
    """Start an instance now, beside those that are due; also of one that is paused.

    Args:
        schedule: Which.
        actor: Who wants it.
        reason: For the audit.
        key: An idempotency key: the same one starts one instance only.

    Raises:
        OperationRefusedError: It starts by events, whose input only they can be.
    """
    process = current()
    firing, now = Firing(process), process.clock.now()
    cause = causes.of_request(key or str(uuid4()))
    with _locked(schedule, actor) as row:
        if row.kind == "on":
            raise OperationRefusedError(f"schedule {schedule} starts by events: send those, or start the workflow")
        begun = firing.start([Start(schedule=row, cause=cause, sort="trigger", by=actor.name)], now)
        if begun:
            _store(row, actor, "schedule.trigger", reason, now)
    firing.follow(instance for _, instance in begun)
    return models.Fire.objects.get(schedule=schedule, cause=cause)


def backfill(schedule: int, start: datetime, end: datetime, *, actor: Actor, reason: str = "") -> Backfilled:
    """Start an instance for each due time of a past window that nothing was started for.

    Args:
        schedule: Which.
        start: Where the window begins; itself part of it.
        end: Where it ends; itself no part of it. Not in the future.
        actor: Who wants it.
        reason: For the audit.

    Raises:
        OperationRefusedError: It has no due times (`after`, `on`).
        InvalidRequestError: The window is empty, not over, or holds more due times than one backfill may start.
    """
    process = current()
    firing, now = Firing(process), process.clock.now()
    _check_window(start, end, now)
    with _locked(schedule, actor) as row:
        due = _due_times(row, start, end)
        wanted = [
            Start(schedule=row, cause=causes.of_time(time), sort="backfill", due_at=time, by=actor.name) for time in due
        ]
        begun = firing.start(wanted, now)
        told = f"{instant(start)} to {instant(end)}: {len(begun)} started"
        _store(row, actor, "schedule.backfill", f"{reason} ({told})" if reason else told, now)
    firing.follow(instance for _, instance in begun)
    return Backfilled(tuple(instance for _, instance in begun), len(due) - len(begun))


def _check_window(start: datetime, end: datetime, now: datetime) -> None:
    if end <= start:
        message = "a window ends after it begins"
        raise InvalidRequestError(message, errors=({"pointer": "/to", "message": message},))
    if end > now:
        message = f"only what is past can be backfilled; it is {instant(now)}"
        raise InvalidRequestError(message, errors=({"pointer": "/to", "message": message},))


def _due_times(row: models.Schedule, start: datetime, end: datetime) -> list[datetime]:
    times = times_of(row.kind, row.text, row.time_zone, row.anchor_at)
    if times is None:
        raise OperationRefusedError(f"schedule {row.pk} has no due times: it says {row.kind}; only every and cron have")
    most = settings.LEMLINE.schedules.backfill_limit
    found = times.between(start, end, most + 1)
    if len(found) > most:
        message = (
            f"more than {most} due times (lemline.schedules.backfill-limit); take a window up to {instant(found[most])}"
        )
        raise InvalidRequestError(message, errors=({"pointer": "/to", "message": message},))
    return found


@contextmanager
def _locked(schedule: int, actor: Actor) -> Iterator[models.Schedule]:
    """Give the row within a transaction that holds it."""
    with transaction.atomic():
        yield _find(models.Schedule.objects.select_for_update(), schedule, actor)


def _find(rows: models.ScheduleQuerySet, schedule: int, actor: Actor) -> models.Schedule:
    row = rows.filter(pk=schedule).first()
    if row is None:
        raise NotFoundError(f"the schedule {schedule} does not exist")
    actor.must_see(row.namespace, f"the schedule {schedule}")
    return row


def _store(row: models.Schedule, actor: Actor, action: str, reason: str, at: datetime) -> None:
    row.save(update_fields=("paused_at", "paused_by", "due_at", "fired_at", "fires"))
    timetables.mirror(row)
    record(actor, action, f"{row.pk} {row.namespace}/{row.workflow}", reason, at)


def _view(row: models.Schedule, fires: int) -> ScheduleView:
    next_at = None if row.paused_at else row.due_at
    return ScheduleView(row=row, next_at=next_at, fires=tuple(last_fires(row, fires)))
