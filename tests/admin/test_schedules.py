"""The page of schedules, and django-celery-beat's, where they can only be read."""

from django.test import Client
from django_celery_beat.models import PeriodicTask

from tests.admin.conftest import STEER, VIEW, browser_of
from tests.admin.test_actions import told
from tests.doors import ECHO, ROOT, register
from workflows import models
from workflows.runtime import schedules

LIST = "/admin/workflows/schedule/"


def hourly(namespace: str = "tests") -> models.Schedule:
    register(f"schedule: {{every: PT1H}}\n{ECHO}", namespace=namespace)
    return models.Schedule.objects.get(namespace=namespace)


def act(browser: Client, verb: str, row: models.Schedule, **more: str):  # type: ignore[no-untyped-def]
    return browser.post(LIST, {"action": verb, "_selected_action": [row.pk], **more})


def test_the_pages_show_what_is_said_and_what_was_started(browser: Client) -> None:
    row = hourly()
    made = schedules.trigger(row.pk, actor=ROOT)

    listed = browser.get(LIST).content.decode()
    shown = browser.get(f"{LIST}{row.pk}/change/").content.decode()

    assert "tests/echo:1.0.0" in listed
    assert "PT1H" in listed
    assert f'href="/admin/workflows/instance/{made.instance}/change/"' in shown


def test_verbs_ask_for_the_reason_and_are_recorded(browser: Client) -> None:
    row = hourly()
    assert 'name="reason"' in act(browser, "pause", row).content.decode()

    done = act(browser, "pause", row, reason="feast")

    assert told(done)[-1] == "pause: 1 done."
    assert models.Schedule.objects.get().paused_by == "root"
    assert models.AuditEntry.objects.get(action="schedule.pause").reason == "feast"
    act(browser, "trigger", row, reason="now")
    assert models.Fire.objects.get().sort == "trigger"


def test_a_past_window_is_backfilled(browser: Client) -> None:
    row = hourly()
    models.Schedule.objects.update(anchor_at="2026-01-01T00:00:00Z")
    window = {"from": "2026-01-01T01:00", "to": "2026-01-01T04:00:00"}
    assert 'name="from"' in act(browser, "backfill", row).content.decode()

    assert told(act(browser, "backfill", row, reason="lost", **window))[-1] == "backfill: 1 done."
    assert models.Fire.objects.filter(sort="backfill").count() == 3
    assert "is no time" in told(act(browser, "backfill", row, reason="x", **{"from": "noon", "to": "x"}))[-1]


def test_who_may_only_look_is_offered_no_verbs(sqlite: str) -> None:
    row = hourly()

    act(browser_of("viewer", *VIEW, "view_schedule"), "pause", row, reason="x")
    assert models.Schedule.objects.get().paused_at is None

    act(browser_of("steerer", *STEER, "view_schedule"), "pause", row, reason="x")
    assert models.Schedule.objects.get().paused_at is not None


def test_a_mirror_can_be_read_and_not_be_changed_while_other_tasks_can(browser: Client) -> None:
    hourly()
    mirror = PeriodicTask.objects.get()
    other = PeriodicTask.objects.create(name="theirs", task="their.task", interval=mirror.interval)
    page = "/admin/django_celery_beat/periodictask/{}/change/"

    shown = browser.get(page.format(mirror.pk)).content.decode()
    theirs = browser.get(page.format(other.pk)).content.decode()

    assert "lemline: tests/echo" in shown
    assert 'name="_save"' not in shown
    assert 'name="_save"' in theirs
