"""Timers: never early, by the database's time, in the order in which they are due."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.runtimes import (
    TWO,
    Gate,
    Runtime,
    checkpoint_of,
    define,
    due_in,
    let_time_pass,
    lost,
    runs_of,
    status_of,
)
from tests.waiting import wait_until
from workflows.engine import facts
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.ports import Outcome
from workflows.runtime.step import Due
from workflows.runtime.timekeeper import BATCH, GATHER_SECONDS, LOOK_SECONDS, Timekeeper
from workflows.runtime.work import Pick

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
    assert due_in(runtime.records) == [instance]

    runtime.timekeeper.look()

    assert due_in(runtime.records) == []
    assert runtime.bells.names == ["first", "first"]


class Picks:
    """A stepper that finds what it is told to, and remembers what it was to leave alone."""

    def __init__(self, *found: list[str], outcome: Outcome | None = None) -> None:
        self.left_alone: list[list[str]] = []
        self._found = list(found)
        self._outcome = outcome

    def pick(self, pick: Pick) -> None:
        self.left_alone.append(sorted(pick.but))
        for work in pick.works(self._found.pop(0)):
            for settled, _ in work.settled:
                if self._outcome is not None:
                    settled(self._outcome)
        pick.done(None)


def timekeeper_of(runtime: Runtime, stepper: object, **more: Any) -> Timekeeper:
    return Timekeeper(runtime.records, runtime.process.clock, stepper, **more)  # type: ignore[arg-type]


def overdue(runtime: Runtime) -> None:
    """Have the database say that something is due."""
    runtime.records.next_due = lambda: (runtime.now, runtime.now)  # type: ignore[method-assign]


def test_a_full_batch_is_followed_by_the_next_at_once_and_others_gather_first(runtime: Runtime) -> None:
    many = [str(number) for number in range(BATCH)]
    timekeeper = timekeeper_of(runtime, Picks(many, ["last"], []))
    overdue(runtime)

    pauses = [timekeeper.look() for _ in range(3)]

    assert pauses == [0, GATHER_SECONDS, LOOK_SECONDS]


def test_until_the_next_is_due_a_timekeeper_sleeps(runtime: Runtime) -> None:
    define(NAP)
    runtime.start()
    timekeeper = timekeeper_of(runtime, Picks(), look_seconds=600)

    pause = timekeeper.look()

    assert 0 < pause <= 60
    assert timekeeper_of(runtime, Picks()).look() == LOOK_SECONDS


def test_what_is_still_being_stepped_is_not_picked_again(runtime: Runtime) -> None:
    picks = Picks(["slow"], ["other"])
    timekeeper = timekeeper_of(runtime, picks)
    overdue(runtime)

    timekeeper.look()
    timekeeper.look()

    assert picks.left_alone == [[], ["slow"]]


def test_an_instance_that_is_due_without_anything_to_do_rests(runtime: Runtime) -> None:
    idle = Picks(["idle"], [], outcome=Outcome(changed=False))
    working = Picks(["working"], [], outcome=Outcome(changed=True))
    overdue(runtime)

    for picks in (idle, working):
        timekeeper = timekeeper_of(runtime, picks)
        timekeeper.look()
        timekeeper.look()

    assert (idle.left_alone[1], working.left_alone[1]) == (["idle"], [])


def test_a_timer_of_an_instance_whose_expression_takes_long_holds_up_no_other(runtime: Runtime) -> None:
    define("do: [{nap: {wait: {minutes: 1}}}, {think: {set: '${ [limit(3; repeat(1))] | length }'}}]", name="slow")
    define(NAP)
    slow, quick = runtime.start("slow"), runtime.start()
    let_time_pass(slow, hours=1)
    let_time_pass(quick)
    gate = Gate()
    runtime.process.sandbox.run = gate  # type: ignore[method-assign, assignment]

    runtime.stepper.start()
    timekeeper = timekeeper_of(runtime, runtime.stepper)
    timekeeper.start()
    gate.await_arrival()
    wait_until(lambda: runs_of(quick) == ["nap"], "the other timer")

    assert runs_of(slow) == []
    gate.open()
    timekeeper.stop()


def test_a_timer_that_was_set_in_this_process_needs_no_look(runtime: Runtime) -> None:
    define("do: [{nap: {wait: {milliseconds: 50}}}]")
    runtime.stepper.start()
    timekeeper = timekeeper_of(runtime, runtime.stepper, look_seconds=3600)
    timekeeper.start()

    birth = runtime.birth()
    runtime.stepper.begin(birth, lambda _: None)
    wait_until(lambda: runs_of(birth.instance_id) == ["nap"], "the timer")

    timekeeper.stop()


def test_a_timekeeper_ends_while_the_stepper_waits_for_its_database(runtime: Runtime) -> None:
    asked: list[Pick] = []

    class Stuck:
        def pick(self, pick: Pick) -> None:
            asked.append(pick)

    overdue(runtime)
    timekeeper = timekeeper_of(runtime, Stuck())
    timekeeper.start()
    wait_until(lambda: asked, "the first pick")

    timekeeper.stop()

    assert len(asked) == 1


@pytest.mark.parametrize("error", [lost, lambda *_: 1 / 0])
def test_a_timekeeper_outlives_whatever_goes_wrong(
    runtime: Runtime, error: object, caplog: pytest.LogCaptureFixture
) -> None:
    define(NAP)
    instance = runtime.start()
    let_time_pass(instance)
    looks: list[int] = []

    def fail_once() -> None:
        looks.append(1)
        if len(looks) == 1:
            error()  # type: ignore[operator]

    runtime.records.before["next_due"] = fail_once
    runtime.stepper.start()
    timekeeper = timekeeper_of(runtime, runtime.stepper)
    with caplog.at_level(logging.CRITICAL):
        timekeeper.start()
        wait_until(lambda: runs_of(instance) == ["nap"], "the timer")
        timekeeper.stop()

    assert len(looks) > 1
