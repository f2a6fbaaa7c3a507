"""A clock that jumps: the database's moves what is due, a worker's moves nothing."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import uuid6

from tests.clocks import SetClock
from tests.runtimes import ONE, Bells, Runtime, define, due_in, runs_of, status_of, wait_of
from workflows import models
from workflows.runtime import process
from workflows.runtime.cluster import Heartbeat, Held
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


def test_a_process_asks_the_database_for_the_time_before_it_does_anything(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)

    began = process.begin(lambda _: Bells())  # type: ignore[arg-type, return-value]
    told = began.clock.now()
    process.end()

    assert abs(told - datetime.fromtimestamp(real(), UTC)) < timedelta(minutes=5)


LEASE = timedelta(seconds=30)
QUEUE = "compute/3"


class Fleet:
    """A sweeper and the processes that it hears of."""

    def __init__(self, runtime: Runtime, set_clock: SetClock) -> None:
        define(ONE)
        self.runtime = runtime
        self.set_clock = set_clock
        self.sweeper = runtime.new_sweeper(LEASE.total_seconds())
        self.runtime.bells.waiting = {QUEUE: 0}

    def report(self, **more: object) -> models.Node:
        """Have a process heartbeat for the first time."""
        now = self.runtime.records.now()
        return models.Node.objects.create(pk=uuid6.uuid7(), name="w", started_at=now, seen_at=now, **more)

    def hold(self, instance: str) -> tuple[str, str, int]:
        return instance, wait_of(instance, "work"), 1

    def sweep(self) -> list[str]:
        """Sweep once; what rang again."""
        before = len(self.runtime.bells.rung)
        self.sweeper.sweep()
        self.runtime.settle()
        return self.runtime.bells.names[before:]

    def sweep_for_a_lease(self, by: timedelta) -> list[str]:
        """Sweep while a lease goes by on a clock that was set by this much; every process that is heard of reports."""
        rung = self.sweep()
        for seconds in range(4, 44, 4):
            self.set_clock(by + timedelta(seconds=seconds))
            now = self.runtime.records.now()
            models.Node.objects.filter(seen_at__lte=now).update(seen_at=now)
            rung += self.sweep()
        return rung


@pytest.fixture
def fleet(runtime: Runtime, set_clock: SetClock) -> Fleet:
    return Fleet(runtime, set_clock)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_what_is_being_worked_on_when_the_clock_is_set_is_not_rung_for_again(fleet: Fleet, by: timedelta) -> None:
    instance = fleet.runtime.start()
    fleet.set_clock(timedelta(seconds=10))
    worker = fleet.report()
    fleet.sweep()

    fleet.set_clock(by)
    rung = fleet.sweep()
    worker.seen_at, worker.held = fleet.runtime.records.now(), [fleet.hold(instance)]
    worker.save()

    assert rung + fleet.sweep_for_a_lease(by) == []


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_ring_that_was_lost_before_the_clock_was_set_is_made_good_as_fast_as_ever(
    fleet: Fleet, by: timedelta
) -> None:
    instance = fleet.runtime.start()
    fleet.report(held=[fleet.hold(instance)])
    fleet.sweep()

    fleet.set_clock(by)
    fleet.report()

    assert fleet.sweep_for_a_lease(by)[:1] == ["work 2"]


def test_what_was_taken_from_a_queue_before_the_clock_was_set_back_says_nothing_about_what_is_rung_since(
    fleet: Fleet,
) -> None:
    fleet.report(taken={QUEUE: fleet.runtime.records.now().isoformat()})

    fleet.set_clock(-HOUR)
    fleet.report()
    fleet.runtime.start()
    fleet.runtime.bells.waiting = {QUEUE: 7}

    assert fleet.sweep_for_a_lease(-HOUR) == []


def test_a_process_that_sees_the_clock_set_goes_on_holding_what_it_held(runtime: Runtime, set_clock: SetClock) -> None:
    presence, hold = runtime.process.presence, ("instance", "wait", 1)
    heartbeat = Heartbeat(presence, runtime.records, runtime.process.clock, LEASE.total_seconds(), lambda _: None)  # type: ignore[arg-type]
    heartbeat.beat()
    presence.held[hold] = Held(runtime.now - LEASE, lambda: None)
    presence.take(QUEUE, runtime.now)

    set_clock(-HOUR)
    heartbeat.beat()
    presence.take(QUEUE, runtime.now)
    heartbeat.beat()

    node = models.Node.objects.get()
    assert node.held == [list(hold)]
    assert datetime.fromisoformat(node.taken[QUEUE]) <= node.seen_at
