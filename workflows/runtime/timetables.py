"""Keeps the table of schedules in step with what is registered: of each workflow, the highest version's counts.

Part of the transaction that registers or deletes. What a new version says in the same words goes on as it was: the grid
of `every`, a pause, events that are being gathered. What it says otherwise begins anew, and stays paused if it was.
"""

import hashlib
from datetime import datetime

import msgspec
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from workflows import dsl, models
from workflows.dsl.cron import parse_cron
from workflows.dsl.jsontext import encode
from workflows.dsl.model import EventStrategy
from workflows.engine.correlation import Pattern
from workflows.engine.problems import ProblemError
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.event_rows import scope_of
from workflows.runtime.event_strategies import OnStrategy
from workflows.runtime.moments import times_of
from workflows.runtime.subscriptions import subscribe_schedule, unsubscribe_schedule

MIRROR = "workers.beat.reflect"
"""Shows schedules to django-celery-beat: named, since the runtime does not know Celery."""


class Said(msgspec.Struct, frozen=True):
    """A definition's schedule as its row has it."""

    kind: str
    text: str
    time_zone: str = ""
    catch_up: str = ""
    patterns: tuple[Pattern, ...] = ()
    """What events it wants; none where it is no matter of events."""

    def first_due(self, now: datetime) -> datetime | None:
        """Return when the first start is due; None where it is no matter of time, or there is none to come."""
        times = times_of(self.kind, self.text, self.time_zone, now)
        if times is not None:
            return times.after(now)
        return now if self.kind == "after" else None

    def differs_from(self, row: models.Schedule) -> bool:
        """Return whether it means other starts than the row does."""
        return (self.kind, self.text, self.time_zone) != (row.kind, row.text, row.time_zone)


def follow(namespace: str, workflow: str, now: datetime) -> None:
    """Have a workflow's schedule be what its highest version says; within the caller's transaction.

    Args:
        namespace: Of the workflow.
        workflow: Its name.
        now: When this is; what begins anew counts from here.
    """
    _alone(namespace, workflow)
    row = models.Schedule.objects.select_for_update().filter(namespace=namespace, workflow=workflow).first()
    highest = models.Definition.objects.named(namespace, workflow)
    said = None if highest is None else _said(highest)
    if highest is None or said is None:
        if row is not None:
            mirror(row, is_gone=True)
            unsubscribe_schedule(row.pk)
            row.delete()
        return
    if row is None:
        row = models.Schedule(namespace=namespace, workflow=workflow, created_at=now)
        _begin(row, said, now)
    elif said.differs_from(row):
        _begin(row, said, now)
    row.definition, row.version, row.catch_up = highest, highest.version, said.catch_up
    row.save()
    # Events count from when it began to say this, whatever else its workflow's versions say.
    subscribe_schedule(row.pk, said.patterns, scope_of(namespace), row.anchor_at)
    mirror(row)


def _alone(namespace: str, workflow: str) -> None:
    """Wait for others who register versions of the same workflow: none of them sees what another has not committed.
    SQLite has one writer at a time anyway.
    """
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(f"schedule {namespace}/{workflow}".encode()).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (int.from_bytes(digest[:8], signed=True),))


def _begin(row: models.Schedule, said: Said, now: datetime) -> None:
    row.kind, row.text, row.time_zone = said.kind, said.text, said.time_zone
    row.anchor_at, row.due_at, row.awaited = now, said.first_due(now), None
    if row.pk is not None:
        models.Gathering.objects.filter(schedule=row).delete()


def _said(definition: models.Definition) -> Said | None:
    read = dsl.parse(definition.text, limit_bytes=None)
    schedule = read.schedule
    if schedule is None:
        return None
    [(kind, value)] = read.source["schedule"].items()
    text = value if isinstance(value, str) else encode(value).decode()
    config = settings.LEMLINE.schedules
    catch_up = schedule.catch_up or config.catch_up
    match kind:
        case "cron":
            # A text that names its zone itself is shown with that one.
            return Said(kind, text, parse_cron(text, schedule.time_zone or config.time_zone).zone, catch_up)
        case "every":
            return Said(kind, text, "", catch_up)
        case "on" if schedule.on is not None:
            return Said(kind, text, patterns=_patterns(schedule.on))
        case _:
            return Said(kind, text)


def _patterns(strategy: EventStrategy) -> tuple[Pattern, ...]:
    try:
        return OnStrategy(strategy).patterns
    except ProblemError as error:
        message = f"{error.problem.detail}; there is no instance yet that an expression could be about"
        raise InvalidRequestError(message, errors=({"pointer": "/schedule/on", "message": message},)) from error


def mirror(row: models.Schedule, *, is_gone: bool = False) -> None:
    """Show a schedule to whoever mirrors it; within the transaction that changed it."""
    if settings.LEMLINE.schedules.mirror:
        import_string(MIRROR)(row, is_gone=is_gone)
