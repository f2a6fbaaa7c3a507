"""Starts by time: once for each due time, whoever looks, and by the policy after an outage."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.runtimes import Beside, Gate, Runtime, define, output_of, phases_of, status_of
from tests.schedules import WORKING, fire, fire_all, fired, follow_at, instances, schedule
from workflows import models
from workflows.engine import facts
from workflows.runtime import retention
from workflows.runtime.firing import STARTS, Firing
from workflows.runtime.moments import Every, plan
from workflows.runtime.retention import Removed
from workflows.runtime.schedule_keeper import ScheduleKeeper
from workflows.runtime.successions import look_for_ends
from workflows.runtime.timetables import follow

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MINUTELY = "schedule: {every: PT1M}"


def minutes(*numbers: int) -> list[datetime]:
    """Return the times so many minutes after noon."""
    return [NOON + number * MINUTE for number in numbers]


def policy(catch_up: str, name: str = "played") -> None:
    models.Schedule.objects.filter(workflow=name).update(catch_up=catch_up)


def test_a_span_first_starts_something_after_it_has_gone_by_and_then_again_and_again(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON)

    looks = [fire(runtime, NOON + timedelta(seconds=seconds)) for seconds in (0, 59, 60, 61, 119, 120)]

    assert looks == [0, 0, 1, 0, 0, 1]
    assert fired() == minutes(1, 2)
    assert [(row.status, bytes(row.input), row.labels["lemline.dueAt"]) for row in instances()] == [
        ("completed", b"{}", "2026-03-02T12:01:00.000Z"),
        ("completed", b"{}", "2026-03-02T12:02:00.000Z"),
    ]


def test_a_grid_does_not_drift_when_looks_are_late(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON)

    for late in (7, 31, 0):
        fire(runtime, NOON + MINUTE * (1 + len(fired())) + timedelta(seconds=late))

    assert fired() == minutes(1, 2, 3)


def test_a_cron_expression_starts_something_by_the_clock_of_its_zone(runtime: Runtime) -> None:
    schedule("schedule: {cron: 'CRON_TZ=Europe/Berlin 30 14 * * *'}", NOON)

    fire(runtime, NOON + HOUR)
    fire_all(runtime, NOON + 2 * HOUR)

    assert fired() == [NOON + 1.5 * HOUR]


def test_runs_do_not_wait_for_the_one_before(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON, body=WORKING)

    fire(runtime, NOON + MINUTE)
    fire(runtime, NOON + 2 * MINUTE)

    assert [row.status for row in instances()] == ["running", "running"]
    assert runtime.bells.names == ["work", "work"]


CATCH_UP = {
    "skip": minutes(59, 60),
    "once": minutes(58, 59, 60),
    "all": minutes(*range(1, 61)),
}
"""What is started after an hour in which nobody looked: two due times are within the tolerance of a minute."""


@pytest.mark.parametrize("catch_up", CATCH_UP)
def test_after_an_hour_away_the_policy_counts(runtime: Runtime, catch_up: str) -> None:
    schedule(MINUTELY, NOON)
    policy(catch_up)

    fire_all(runtime, NOON + HOUR)
    fire_all(runtime, NOON + HOUR + MINUTE)

    assert fired() == [*CATCH_UP[catch_up], NOON + HOUR + MINUTE]
    missed = models.Schedule.objects.get().missed_at
    assert missed == {"skip": NOON + 58 * MINUTE, "once": NOON + 57 * MINUTE, "all": None}[catch_up]


def test_what_is_merely_late_is_not_missed(runtime: Runtime) -> None:
    schedule("schedule: {every: PT10S}", NOON)
    policy("skip")

    fire_all(runtime, NOON + timedelta(seconds=60))

    assert len(fired()) == 6


def test_one_that_has_much_to_catch_up_with_lets_others_go_in_between(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON, name="behind")
    policy("all", "behind")
    schedule("schedule: {every: PT59M}", NOON, name="punctual")

    fire(runtime, NOON + HOUR)

    assert (len(fired("behind")), len(fired("punctual"))) == (STARTS, 1)


@pytest.mark.parametrize("most", [1, 2, 5, 100])
def test_a_plan_of_any_size_comes_to_the_same_starts(most: int) -> None:
    times = Every(MINUTE, NOON)
    for catch_up, expected in CATCH_UP.items():
        due_at: datetime | None = NOON + MINUTE
        starts: list[datetime] = []
        while due_at is not None and due_at <= NOON + HOUR:
            found = plan(times, due_at, NOON + HOUR, catch_up=catch_up, missed_after=MINUTE, most=most)
            starts += found.starts
            due_at = found.next_at

        assert (catch_up, starts) == (catch_up, expected)


def test_two_timekeepers_who_look_at_once_start_it_once(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    one, other = new_runtime(), new_runtime()
    schedule(MINUTELY, NOON)
    gate = Gate()
    # The first stands before its commit, with the row locked, while the other looks.
    one.records.before["write"] = gate
    first = beside.run(fire, one, NOON + MINUTE)
    gate.await_arrival()

    assert fire(other, NOON + MINUTE) == 0
    gate.open()

    assert first.result() == 1
    assert fire(other, NOON + MINUTE) == 0
    assert (fired(), len(instances())) == (minutes(1), 1)


def test_many_timekeepers_start_each_due_time_once(
    database: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    runtimes = [new_runtime() for _ in range(4)]
    for number in range(12):
        schedule("schedule: {every: PT10S}", NOON, name=f"w{number}")

    def look(runtime: Runtime) -> None:
        for seconds in range(0, 65, 5):
            fire(runtime, NOON + timedelta(seconds=seconds))

    for future in [beside.run(look, runtime) for runtime in runtimes]:
        future.result()

    for number in range(12):
        assert fired(f"w{number}") == [NOON + timedelta(seconds=seconds) for seconds in range(10, 70, 10)]
        assert len(instances(f"w{number}")) == 6


def test_a_death_before_the_commit_leaves_nothing_and_after_it_everything(runtime: Runtime, other: Runtime) -> None:
    schedule(MINUTELY, NOON)

    def die(*_: object) -> None:
        raise MemoryError("killed")

    runtime.records.after["write"] = die
    with pytest.raises(MemoryError):
        fire(runtime, NOON + MINUTE)
    assert (fired(), instances()) == ([], [])

    del runtime.records.after["write"]
    Firing(runtime.process).fire_due(NOON + MINUTE)  # and dies before the first step
    [instance] = instances()
    assert instance.status == "pending"

    other.timekeeper.look()
    assert phases_of(str(instance.pk))[-1] == "completed"


def test_after_counts_from_the_end_of_the_run_before(runtime: Runtime) -> None:
    schedule("schedule: {after: PT1H}", NOON, body=WORKING)

    fire(runtime, NOON)
    [first] = instances()
    assert fire(runtime, NOON + 5 * HOUR) == 0

    runtime.succeed(str(first.pk), "work")
    ended_at = models.Instance.objects.get().ended_at
    assert ended_at is not None
    assert models.Schedule.objects.get().due_at == ended_at + HOUR
    assert fire(runtime, ended_at + HOUR - timedelta(seconds=1)) == 0
    assert fire(runtime, ended_at + HOUR) == 1
    assert len(instances()) == 2


@pytest.mark.parametrize("ending", ["cancelled", "faulted"])
def test_after_goes_on_however_the_run_before_ended(runtime: Runtime, ending: str) -> None:
    schedule("schedule: {after: PT0S}", NOON, body=WORKING)
    fire(runtime, NOON)
    [first] = map(str, models.Instance.objects.values_list("pk", flat=True))

    if ending == "cancelled":
        runtime.apply(first, facts.CancelRequested(at=runtime.now))
    else:
        runtime.stepper.consequences.bury(first, OSError("no"))
        look_for_ends()

    assert status_of(first) == ending
    assert fire(runtime, runtime.now + MINUTE) == 1


def test_an_end_that_nobody_was_told_of_is_found(runtime: Runtime) -> None:
    schedule("schedule: {after: PT1H}", NOON, body=WORKING)
    fire(runtime, NOON)
    [first] = instances()
    runtime.stepper.consequences.run_ended = lambda _: None
    runtime.succeed(str(first.pk), "work")
    assert models.Schedule.objects.get().due_at is None

    ScheduleKeeper(runtime.process).look()

    ended_at = models.Instance.objects.get().ended_at
    assert ended_at is not None
    assert models.Schedule.objects.get().due_at == ended_at + HOUR


def test_a_run_that_goes_on_is_not_taken_for_ended(runtime: Runtime) -> None:
    schedule("schedule: {after: PT0S}", NOON, body=WORKING)
    fire(runtime, NOON)

    look_for_ends()

    assert models.Schedule.objects.get().due_at is None
    assert fire(runtime, NOON + HOUR) == 0


def test_the_highest_version_alone_is_scheduled(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON, version="1.10.0")
    schedule("schedule: {every: PT1S}", NOON, version="1.9.0")

    fire_all(runtime, NOON + MINUTE)

    assert [row.version for row in instances()] == ["1.10.0"]


def test_a_new_version_that_says_the_same_keeps_the_grid(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON)

    schedule(MINUTELY, NOON + timedelta(seconds=50), version="2.0.0")
    fire(runtime, NOON + MINUTE)

    assert [(row.version, row.labels["lemline.dueAt"]) for row in instances()] == [
        ("2.0.0", "2026-03-02T12:01:00.000Z")
    ]


def test_a_new_version_that_says_otherwise_begins_anew(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON)

    schedule("schedule: {every: PT2M}", NOON + timedelta(seconds=30), version="2.0.0")
    fire_all(runtime, NOON + 3 * MINUTE)

    assert fired() == [NOON + timedelta(seconds=150)]


def test_a_version_without_a_schedule_ends_it_and_its_deletion_brings_it_back(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON)
    newer = define("do: []", version="2.0.0")
    assert follow_at(NOON) is None
    fire_all(runtime, NOON + HOUR)
    assert instances() == []

    newer.is_current = False
    newer.save()
    follow_at(NOON + HOUR)
    fire_all(runtime, NOON + HOUR + MINUTE)

    assert fired() == [NOON + HOUR + MINUTE]


def test_open_runs_are_not_touched_by_a_schedules_end(runtime: Runtime) -> None:
    schedule(MINUTELY, NOON, body=WORKING)
    fire(runtime, NOON + MINUTE)
    [running] = instances()

    models.Definition.objects.update(is_current=False)
    assert follow_at(NOON + 2 * MINUTE) is None

    runtime.succeed(str(running.pk), "work", {"x": 2})
    assert (status_of(str(running.pk)), output_of(str(running.pk))) == ("completed", {"x": 2})


def test_who_registers_two_versions_at_once_leaves_the_schedule_of_the_higher_one(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    gate = Gate()

    def register(version: str, wait: Callable[[], object], text: str) -> None:
        with transaction.atomic():
            define(f"{text}\ndo: []", version=version)
            follow("tests", "played", NOON)
            wait()

    higher = beside.run(register, "2.0.0", gate, "")
    gate.await_arrival()
    lower = beside.run(register, "1.0.0", lambda: None, MINUTELY)
    gate.open()
    higher.result()
    lower.result()

    assert not models.Schedule.objects.exists()


def test_one_that_cannot_be_started_holds_up_no_other(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    broken = schedule(MINUTELY, NOON, name="broken")
    schedule(MINUTELY, NOON, name="sound")
    models.Schedule.objects.filter(pk=broken.pk).update(text="nonsense")
    keeper = ScheduleKeeper(runtime.process)
    keeper._ends_at = float("inf")
    runtime.process.clock.set(NOON + MINUTE)

    keeper.look()
    runtime.settle()

    assert fired("sound") == minutes(1)
    assert [record.message for record in caplog.records] == ["schedule.failed"]
    assert keeper._left_alone() == [broken.pk]


def test_ten_thousand_schedules_cost_what_is_due(runtime: Runtime) -> None:
    row = schedule("schedule: {cron: '0 0 1 1 *'}", NOON)
    copies = [
        models.Schedule(
            namespace="tests", workflow=f"w{number}", definition=row.definition, version=row.version, kind="cron",
            text=row.text, time_zone="UTC", catch_up="once", anchor_at=NOON, due_at=NOON + HOUR, created_at=NOON,
        )
        for number in range(10_000)
    ]  # fmt: skip
    models.Schedule.objects.bulk_create(copies, batch_size=1000)
    models.Schedule.objects.filter(workflow="w77").update(due_at=NOON, text="0 12 * * *")
    keeper = ScheduleKeeper(runtime.process)
    keeper._ends_at = float("inf")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    runtime.process.clock.set(NOON - MINUTE)
    with CaptureQueriesContext(connection) as idle:
        keeper.look()
    runtime.process.clock.set(NOON)
    keeper.look()

    assert len(idle) == 1
    assert "schedule_due" in _plan(idle.captured_queries[0]["sql"])
    assert models.Fire.objects.count() == 1


def _plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
        return str(cursor.fetchall())


def test_what_is_missed_is_what_is_later_than_configured(
    runtime: Runtime, configure: Callable[[Mapping[str, str]], None]
) -> None:
    schedule(MINUTELY, NOON)
    policy("skip")
    configure({"lemline.schedules.missed-after": "PT10M"})

    fire_all(runtime, NOON + HOUR)

    assert fired() == minutes(*range(50, 61))


def test_what_was_started_is_forgotten_after_its_time(runtime: Runtime) -> None:
    row = schedule(MINUTELY, NOON)
    fire(runtime, NOON + MINUTE)
    fire(runtime, NOON + 2 * MINUTE)
    models.HeardEvent.objects.create(schedule=row, event="x", at=NOON)
    models.Gathering.objects.create(schedule=row, state=b"", created_at=NOON, changed_at=NOON)
    ages = retention.configured()

    kept = sum(retention.counts(ages, NOON + MINUTE + ages.fires), Removed())
    gone = retention.remove(retention.removals(ages, NOON + MINUTE * 1.5 + ages.fires), lambda _: False)

    assert (kept.fires, gone.fires, gone.heard, gone.gatherings) == (0, 1, 1, 1)
    assert fired() == minutes(2)
