"""A clock that jumps: the database's moves what is due, a worker's moves nothing."""

import time
from datetime import timedelta

import pytest

from tests.clocks import SetClock
from tests.runtimes import Runtime, define, due_in, runs_of, status_of
from workflows.runtime.step import Due

NAP = "do: [{nap: {wait: {minutes: 1}}}, {work: {call: work}}]"

HOUR = timedelta(hours=1)


def test_what_a_database_clock_set_forward_makes_due_fires_at_once_and_once(
    runtime: Runtime, set_clock: SetClock
) -> None:
    define(NAP)
    instance = runtime.start()

    set_clock(HOUR)
    runtime.timekeeper.look()
    runtime.timekeeper.look()

    assert (runs_of(instance), runtime.bells.names) == (["nap"], ["work"])


def test_a_database_clock_set_back_fires_nothing_twice_and_makes_the_rest_wait_longer(
    runtime: Runtime, set_clock: SetClock
) -> None:
    define(NAP)
    fired, waiting = runtime.start(), runtime.start(start_at=runtime.now + 2 * HOUR)
    set_clock(HOUR)
    runtime.timekeeper.look()

    set_clock(-HOUR)
    runtime.timekeeper.look()
    runtime.apply(fired, Due())
    assert (runs_of(fired), status_of(waiting)) == (["nap"], "pending")
    set_clock(3 * HOUR)
    runtime.timekeeper.look()

    assert (runs_of(fired), status_of(waiting)) == (["nap"], "waiting")


def test_a_timer_that_was_due_before_the_clock_was_set_back_is_not_fired_before_its_time_comes_again(
    runtime: Runtime, set_clock: SetClock
) -> None:
    define(NAP)
    instance = runtime.start()
    set_clock(HOUR)
    runtime.records.after["next_due"] = lambda _: set_clock(timedelta())

    runtime.timekeeper.look()

    assert (runs_of(instance), due_in(runtime.records)) == ([], [])


def test_a_process_tells_the_time_that_the_database_told_it_last(runtime: Runtime, set_clock: SetClock) -> None:
    real = runtime.now

    for by in (HOUR, -HOUR):
        set_clock(by)
        runtime.timekeeper.look()

        assert abs(runtime.now - (real + by)) < timedelta(minutes=5)


@pytest.mark.parametrize("by", [3600.0, -3600.0])
def test_a_workers_wall_clock_that_is_set_moves_no_timer(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    define(NAP)
    instance = runtime.start()
    before, real = runtime.now, time.time

    monkeypatch.setattr(time, "time", lambda: real() + by)
    runtime.timekeeper.look()
    later = runtime.start()
    runtime.timekeeper.look()

    assert (runs_of(instance), runs_of(later)) == ([], [])
    assert abs(runtime.now - before) < timedelta(minutes=5)
