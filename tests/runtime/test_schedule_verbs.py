"""Schedules as people steer them: paused, resumed, triggered, backfilled, and registered like any definition."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.doors import ECHO, ROOT, register
from workflows import models
from workflows.runtime import operations, process, schedules
from workflows.runtime.errors import InvalidRequestError, NotFoundError, OperationRefusedError
from workflows.runtime.firing import Firing
from workflows.runtime.operations import Actor

HOURLY = f"schedule: {{every: PT1H}}\n{ECHO}"
AFTER = f"schedule: {{after: PT1H}}\n{ECHO}"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def doors(database: str) -> Iterator[None]:
    yield
    process.end()


def only() -> models.Schedule:
    return models.Schedule.objects.get()


def fire(now: datetime) -> int:
    return len(Firing(process.current()).fire_due(now))


def audit() -> list[tuple[str, str]]:
    rows = models.AuditEntry.objects.filter(action__startswith="schedule.").order_by("pk")
    return list(rows.values_list("action", "reason"))


def test_a_schedule_begins_and_ends_with_its_definition() -> None:
    register(HOURLY)
    row = only()
    assert (row.kind, row.text, row.catch_up, row.due_at) == ("every", "PT1H", "once", row.anchor_at + HOUR)

    operations.delete_definition("tests", "echo", "1.0.0", actor=ROOT)

    assert not models.Schedule.objects.exists()


def test_deleting_the_highest_version_brings_the_next_one_back() -> None:
    register(HOURLY)
    register(f"schedule: {{every: PT2H}}\n{ECHO}", version="2.0.0")
    assert (only().version, only().text) == ("2.0.0", "PT2H")

    operations.delete_definition("tests", "echo", "2.0.0", actor=ROOT)

    assert (only().version, only().text) == ("1.0.0", "PT1H")


def test_registering_the_same_text_again_moves_nothing_and_schedules_what_was_registered_before_there_were_any() -> (
    None
):
    register(HOURLY)
    before = only()
    register(HOURLY)
    assert (only().pk, only().due_at) == (before.pk, before.due_at)

    models.Schedule.objects.all().delete()
    register(HOURLY)

    assert only().text == "PT1H"


def test_a_forced_replacement_is_what_is_scheduled() -> None:
    register(HOURLY)
    text = operations.register(
        HOURLY_TEXT.replace(b"PT1H", b"PT3H"), actor=Actor(name="tests", door="api", is_admin=True), force=True
    )

    assert (text.created, only().text) == (True, "PT3H")
    assert only().definition.is_current


HOURLY_TEXT = f"document: {{dsl: 1.0.3, namespace: tests, name: echo, version: 1.0.0}}\n{HOURLY}\n".encode()


def test_a_dry_run_schedules_nothing() -> None:
    operations.register(HOURLY_TEXT, actor=ROOT, dry_run=True)

    assert not models.Schedule.objects.exists()


def test_a_paused_schedule_starts_nothing_through_new_versions_and_resumes_with_its_next_due_time() -> None:
    register(HOURLY)
    row = only()
    paused = schedules.pause(row.pk, actor=ROOT, reason="feast").to_json()
    assert (paused["status"], paused["nextFireAt"], paused["pausedBy"]) == ("paused", None, "tests")
    register(HOURLY, version="2.0.0")
    assert fire(row.anchor_at + 5 * HOUR) == 0

    resumed = schedules.resume(row.pk, actor=ROOT)

    assert resumed.next_at == row.anchor_at + HOUR
    assert fire(row.anchor_at + HOUR) == 1
    assert audit() == [("schedule.pause", "feast"), ("schedule.resume", "")]


def test_what_was_due_while_it_was_paused_is_not_caught_up_with() -> None:
    register(HOURLY)
    row = only()
    schedules.pause(row.pk, actor=ROOT)
    models.Schedule.objects.update(due_at=row.anchor_at - 5 * HOUR)

    assert schedules.resume(row.pk, actor=ROOT).next_at == row.anchor_at + HOUR


def test_pausing_twice_is_pausing_once() -> None:
    register(HOURLY)
    first = schedules.pause(only().pk, actor=ROOT).to_json()
    again = schedules.pause(only().pk, actor=Actor(name="other", door="api")).to_json()

    assert first == again
    assert len(audit()) == 1


def test_a_trigger_starts_one_beside_those_that_are_due_also_while_it_is_paused() -> None:
    register(HOURLY)
    row = only()
    schedules.pause(row.pk, actor=ROOT)

    made = schedules.trigger(row.pk, actor=ROOT, reason="now")

    assert operations.get_instance(made.instance, actor=ROOT, wait_seconds=20).status == "completed"
    assert (made.sort, made.due_at, made.by) == ("trigger", None, "tests")
    assert (only().due_at, only().fires) == (row.due_at, 1)
    assert audit()[-1] == ("schedule.trigger", "now")


def test_a_trigger_with_a_key_starts_one_instance_however_often_it_is_sent() -> None:
    register(HOURLY)

    made = [schedules.trigger(only().pk, actor=ROOT, key="k").instance for _ in range(3)]

    assert len(set(made)) == 1
    assert (models.Instance.objects.count(), only().fires) == (1, 1)


def test_a_trigger_is_none_of_the_runs_that_after_counts_from() -> None:
    register(AFTER)
    row = only()

    schedules.trigger(row.pk, actor=ROOT)

    assert (only().awaited, only().due_at) == (None, row.due_at)


def test_a_backfill_starts_what_was_not_started_and_never_twice() -> None:
    register(HOURLY)
    row = only()
    models.Schedule.objects.update(anchor_at=row.anchor_at - 10 * HOUR, due_at=row.anchor_at)
    end = row.anchor_at
    fire(row.anchor_at)

    first = schedules.backfill(row.pk, end - 4 * HOUR, end, actor=ROOT, reason="lost")
    again = schedules.backfill(row.pk, end - 6 * HOUR, end, actor=ROOT)

    assert (len(first.instances), first.skipped) == (4, 0)
    assert (len(again.instances), again.skipped) == (2, 4)
    rows = models.Fire.objects.filter(sort="backfill").order_by("due_at")
    assert [row.due_at for row in rows] == [end - number * HOUR for number in (6, 5, 4, 3, 2, 1)]
    for instance in (*first.instances, *again.instances):
        assert operations.get_instance(instance, actor=ROOT, wait_seconds=20).status == "completed"
    assert audit()[0][1].startswith("lost (")


def test_what_a_backfill_started_the_catch_up_does_not_start_again() -> None:
    register(HOURLY)
    row = only()
    start = row.anchor_at - 10 * HOUR
    models.Schedule.objects.update(anchor_at=start, due_at=start + HOUR, catch_up="all")
    schedules.backfill(row.pk, start, start + 6 * HOUR, actor=ROOT)

    while fire(row.anchor_at):
        pass

    due = list(models.Fire.objects.order_by("due_at").values_list("due_at", flat=True))
    assert due == [start + number * HOUR for number in range(11)]


REFUSED: list[tuple[str, int, int, type[Exception], str]] = [
    (HOURLY, 0, 0, InvalidRequestError, "ends after it begins"),
    (HOURLY, -1, 1, InvalidRequestError, "only what is past"),
    (HOURLY, -11, -1, InvalidRequestError, "more than 5 due times (lemline.schedules.backfill-limit)"),
    (AFTER, -2, -1, OperationRefusedError, "has no due times: it says after"),
]


@pytest.mark.parametrize(("body", "start", "end", "error", "message"), REFUSED)
def test_which_backfills_are_refused(
    body: str, start: int, end: int, error: type[Exception], message: str,
    configure: Callable[[Mapping[str, str]], None],
) -> None:  # fmt: skip
    configure({"lemline.schedules.backfill-limit": "5"})
    register(body)
    at = only().anchor_at

    with pytest.raises(error) as refused:
        schedules.backfill(only().pk, at + start * HOUR, at + end * HOUR, actor=ROOT)

    assert message in str(refused.value)
    assert not models.Fire.objects.exists()


VERBS: list[Callable[..., Any]] = [
    schedules.get_schedule,
    schedules.pause,
    schedules.resume,
    schedules.trigger,
    lambda key, actor: schedules.backfill(key, only().anchor_at - HOUR, only().anchor_at, actor=actor),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_schedule_of_a_foreign_namespace_does_not_exist(verb: Callable[..., Any]) -> None:
    register(HOURLY)
    foreigner = Actor(name="foreigner", door="api", namespaces=frozenset({"theirs"}))

    with pytest.raises(NotFoundError):
        verb(only().pk, actor=foreigner)

    assert schedules.list_schedules(actor=foreigner, limit=10, cursor=None).items == []


def test_lists_come_in_pages_by_namespace_and_workflow() -> None:
    for name in ("b", "a", "c"):
        register(HOURLY, name=name)
    register(HOURLY, name="a", namespace="other")

    seen, cursor = [], None
    while True:
        page = schedules.list_schedules(actor=ROOT, limit=1, cursor=cursor)
        seen += [f"{view.row.namespace}/{view.row.workflow}" for view in page.items]
        cursor = page.next
        if cursor is None:
            break

    assert seen == ["other/a", "tests/a", "tests/b", "tests/c"]
