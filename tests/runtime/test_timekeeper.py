"""Timers: never early, by the database's time, in the order in which they are due."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from tests.runtimes import (
    TWO,
    Runtime,
    checkpoint_of,
    define,
    let_time_pass,
    lost,
    runs_of,
    status_of,
)
from tests.waiting import wait_until
from workflows.engine import facts
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.step import AnyFact, Due
from workflows.runtime.timekeeper import BATCH, Timekeeper

NAP = "do: [{nap: {wait: {minutes: 1}}}, {work: {call: work}}]"


def test_a_timer_does_not_fire_early(runtime: Runtime) -> None:
    define(NAP)
    instance = runtime.start()

    runtime.timekeeper.look()
    runtime.apply(instance, Due())

    assert runs_of(instance) == []


def test_a_timer_fires_once_its_time_has_come(runtime: Runtime) -> None:
    define(NAP)
    instance = runtime.start()
    let_time_pass(instance)

    runtime.timekeeper.look()
    runtime.timekeeper.look()

    assert (runs_of(instance), runtime.bells.names) == (["nap"], ["work"])


def test_what_begins_later_does_not_begin_early(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start(start_at=runtime.now + timedelta(hours=1))
    runtime.timekeeper.look()
    runtime.apply(instance, Due())
    assert (status_of(instance), runtime.bells.names) == ("pending", [])

    let_time_pass(instance, hours=2)
    runtime.timekeeper.look()

    assert (status_of(instance), runtime.bells.names) == ("running", ["first"])


def test_what_should_have_begun_already_begins_with_its_first_look(runtime: Runtime) -> None:
    define(TWO)

    instance = runtime.start(start_at=runtime.now - timedelta(hours=1))

    assert status_of(instance) == "running"


def test_a_start_in_the_future_is_cancelled_like_any_other(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start(start_at=runtime.now + timedelta(hours=1))

    runtime.apply(instance, facts.CancelRequested(at=runtime.now))
    runtime.timekeeper.look()

    row = checkpoint_of(instance)
    assert row is not None
    assert (status_of(instance), row.due_at) == ("cancelled", None)


def test_a_workers_wall_clock_counts_for_nothing_once_the_database_was_heard(runtime: Runtime) -> None:
    define(NAP)
    instance = runtime.start()
    runtime.process.clock.set(datetime.now(UTC) + timedelta(days=365))
    assert runtime.now > datetime.now(UTC) + timedelta(days=364)

    runtime.timekeeper.look()

    assert runs_of(instance) == []
    assert abs(runtime.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_clock_goes_on_from_what_it_was_told() -> None:
    clock = DatabaseClock()
    told = datetime(2026, 1, 1, tzinfo=UTC)

    clock.set(told)
    first, second = clock.now(), clock.now()

    assert told <= first <= second < told + timedelta(minutes=1)


def test_an_instance_that_nothing_is_due_for_any_more_is_not_found_again(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    runtime.records.postpone([instance], 0)
    assert runtime.records.due(5)[0] == [instance]

    runtime.timekeeper.look()

    assert runtime.records.due(5)[0] == []
    assert runtime.bells.names == ["first", "first"]


def test_a_full_batch_says_that_there_may_be_more(runtime: Runtime) -> None:
    handed: list[str] = []

    def submit(instance: str, fact: AnyFact, settled: object = None) -> None:
        handed.append(instance)
        settled(None)  # type: ignore[operator]

    timekeeper = Timekeeper(runtime.records, runtime.process.clock, submit)  # type: ignore[arg-type]
    answers = [[str(number) for number in range(BATCH)], ["last"]]
    runtime.records.due = lambda limit: (answers.pop(0), datetime.now(UTC))  # type: ignore[method-assign]

    assert (timekeeper.look(), timekeeper.look()) == (True, False)
    assert len(handed) == BATCH + 1


@pytest.mark.parametrize("error", [lost, lambda *_: 1 / 0])
def test_a_timekeeper_outlives_whatever_goes_wrong(
    runtime: Runtime, error: object, caplog: pytest.LogCaptureFixture
) -> None:
    define(NAP)
    instance = runtime.start()
    let_time_pass(instance)
    looks: list[int] = []

    def fail_once(limit: int) -> None:
        looks.append(limit)
        if len(looks) == 1:
            error()  # type: ignore[operator]

    runtime.records.before["due"] = fail_once
    runtime.stepper.start()
    timekeeper = Timekeeper(runtime.records, runtime.process.clock, runtime.stepper.submit)  # type: ignore[arg-type]
    with caplog.at_level(logging.CRITICAL):
        timekeeper.start()
        wait_until(lambda: runs_of(instance) == ["nap"], "the timer")
        timekeeper.stop()

    assert len(looks) > 1
