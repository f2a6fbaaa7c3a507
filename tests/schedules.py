"""Schedules within a test, looked at by a process whose clock the test sets."""

from datetime import datetime

from django.db import transaction

from tests.runtimes import Runtime, define
from workflows import models
from workflows.runtime.firing import Firing
from workflows.runtime.timetables import follow

SETTING = "do: [{done: {set: {x: 1}}}]"
"""Ends in its first step."""

WORKING = "do: [{work: {call: work}}]"
"""Ends when its activity does."""


def schedule(text: str, now: datetime, *, body: str = SETTING, name: str = "played", version: str = "1.0.0"):
    """Register a version with a schedule, at a time of the test's; returns the row."""
    models.Definition.objects.filter(name=name, version=version).update(is_current=False)
    define(f"{text}\n{body}", name=name, version=version)
    return follow_at(now, name)


def follow_at(now: datetime, name: str = "played") -> models.Schedule | None:
    with transaction.atomic():
        follow("tests", name, now)
    return models.Schedule.objects.filter(workflow=name).first()


def fire(runtime: Runtime, now: datetime) -> int:
    """Have a process look at a time of the test's, once; returns how many schedules it found due."""
    found = Firing(runtime.process).fire_due(now)
    runtime.settle()
    return len(found)


def fire_all(runtime: Runtime, now: datetime) -> None:
    """Have it look until nothing is due."""
    while fire(runtime, now):
        pass


def fired(name: str = "played") -> list[datetime | None]:
    """Return the due times that something was started for, in the order in which it was."""
    rows = models.Fire.objects.filter(schedule__workflow=name).order_by("pk")
    return list(rows.values_list("due_at", flat=True))


def instances(name: str = "played") -> list[models.Instance]:
    return list(models.Instance.objects.filter(workflow=name).order_by("pk"))
