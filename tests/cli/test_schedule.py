"""`schedule list|get|pause|resume|trigger|backfill`."""

from datetime import timedelta

import pytest

from tests.cli.conftest import Lemline
from tests.doors import ECHO, register
from workflows import models
from workflows.cli.exits import Exit


@pytest.fixture
def hourly(stored: str) -> models.Schedule:
    register(f"schedule: {{every: PT1H}}\n{ECHO}")
    return models.Schedule.objects.get()


def test_schedules_are_listed_with_their_next_start(hourly: models.Schedule, lemline: Lemline) -> None:
    shown = lemline("schedule", "list")
    whole = lemline("schedules", "list", "--format", "json").json

    assert shown.code == Exit.OK
    assert "tests/echo:1.0.0  every  PT1H" in shown.out
    assert ([item["id"] for item in whole["items"]], whole["next"]) == ([str(hourly.pk)], None)


def test_it_is_paused_and_resumed(hourly: models.Schedule, lemline: Lemline) -> None:
    paused = lemline("schedule", "pause", hourly.pk, "--reason", "feast", "--format", "json").json
    resumed = lemline("schedule", "resume", hourly.pk, "--format", "json").json

    assert (paused["status"], resumed["status"]) == ("paused", "active")
    entry = models.AuditEntry.objects.get(action="schedule.pause")
    assert (entry.door, entry.reason) == ("cli", "feast")


def test_a_trigger_and_a_backfill_tell_what_they_started(hourly: models.Schedule, lemline: Lemline) -> None:
    made = lemline("schedule", "trigger", hourly.pk, "--format", "json").json
    start, end = (hourly.anchor_at - timedelta(hours=hours) for hours in (3, 0))
    filled = lemline(
        "schedule", "backfill", hourly.pk, "--from", start.isoformat(), "--to", end.isoformat(), "--format", "json"
    ).json  # fmt: skip
    shown = lemline("schedule", "get", hourly.pk).out

    assert (made["kind"], filled["started"]) == ("trigger", 3)
    for instance in (made["instance"], *filled["instances"]):
        assert instance in shown


MISTAKES = [
    (("get", "x"), Exit.USAGE, "those are numbers"),
    (("get", "77"), Exit.NOT_FOUND, "schedule 77 does not exist"),
    (("backfill", "1", "--from", "soon", "--to", "2026-01-01"), Exit.USAGE, "is no time"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES)
def test_mistakes(stored: str, lemline: Lemline, arguments: tuple[str, ...], code: Exit, message: str) -> None:
    done = lemline("schedule", *arguments)

    assert (done.code, message in done.err) == (code, True)
