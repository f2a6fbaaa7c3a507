"""The mirror of schedules in django-celery-beat's tables: shown as they are, and rung by nobody who matters."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from tests.doors import ECHO, ROOT, register
from workers.app import app
from workers.beat import JOB, Scheduler
from workers.jobs import look
from workflows import models
from workflows.runtime import operations, process, schedules


@pytest.fixture(autouse=True)
def doors(database: str) -> Iterator[None]:
    yield
    process.end()


def scheduled(schedule: str, version: str = "1.0.0") -> models.Schedule:
    register(f"schedule: {schedule}\n{ECHO}", version=version)
    return models.Schedule.objects.get()


def mirror() -> PeriodicTask:
    return PeriodicTask.objects.get(name="lemline: tests/echo")


SHOWN = {
    "{every: PT1M30S}": "every 90 seconds",
    "{every: PT2H}": "every 2 hours",
    "{every: {milliseconds: 250}}": "every 250000 microseconds",
    "{after: P1D}": "every day",
    "{cron: '*/5 9-17 * * MON-FRI'}": "*/5 9-17 * * mon-fri (m/h/dM/MY/d) UTC",
    "{cron: 'CRON_TZ=Europe/Berlin @daily'}": "0 0 * * * (m/h/dM/MY/d) Europe/Berlin",
    # Celery has no seconds and no last day.
    "{cron: '30 0 9 L * *'}": "0 9 * * * (m/h/dM/MY/d) UTC",
}


@pytest.mark.parametrize("schedule", SHOWN)
def test_each_sort_of_schedule_is_shown(schedule: str) -> None:
    row = scheduled(schedule)

    shown = mirror()

    assert str(shown.schedule_object if hasattr(shown, "schedule_object") else shown.scheduler) == SHOWN[schedule]
    assert shown.enabled
    assert row.text in shown.description


def test_it_follows_pauses_versions_and_the_end() -> None:
    row = scheduled("{every: PT1M}")
    schedules.pause(row.pk, actor=ROOT)
    assert not mirror().enabled
    schedules.resume(row.pk, actor=ROOT)
    assert mirror().enabled

    scheduled("{cron: '@daily'}", version="2.0.0")
    assert (mirror().interval, mirror().crontab.hour) == (None, "0")

    for version in ("2.0.0", "1.0.0"):
        operations.delete_definition("tests", "echo", version, actor=ROOT)
    assert not PeriodicTask.objects.exists()


def test_a_beat_of_ours_leaves_mirrors_out_and_any_other_reads_them() -> None:
    scheduled("{every: PT1M}")

    ours = Scheduler(app=app, lazy=True).all_as_schedule()
    theirs = DatabaseScheduler(app=app, lazy=True).all_as_schedule()

    assert "lemline: tests/echo" not in ours
    assert theirs["lemline: tests/echo"].task == JOB


def test_two_beats_that_ring_at_once_start_it_once() -> None:
    row = scheduled("{every: PT1M}")
    assert row.due_at is not None
    models.Schedule.objects.update(due_at=row.due_at - timedelta(seconds=60), anchor_at=row.anchor_at - timedelta(60))

    look(schedule=row.pk)
    look(schedule=row.pk)

    assert models.Fire.objects.count() == 1
