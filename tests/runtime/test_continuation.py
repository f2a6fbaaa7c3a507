"""Activities that a process goes on with after the commit, against whatever else happens to it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.clocks import SetClock
from tests.runtimes import TWO, Runtime, define, long_ago, lost, once, state_of, status_of, wait_of
from workflows import models
from workflows.engine import facts
from workflows.runtime.cluster import Held
from workflows.runtime.ports import Delivery

HOUR = timedelta(hours=1)


class Keen:
    """Goes on with everything, and notes with what."""

    def __init__(self, runtime: Runtime) -> None:
        self.asked = 0
        self.begun: list[str] = []
        self._presence = runtime.process.presence

    def keeps(self, delivery: Delivery) -> bool:
        self.asked += 1
        return True

    def go_on(self, delivery: Delivery) -> None:
        command = delivery.command
        self.begun.append(command.name)
        hold = (delivery.instance_id, command.wait_id, command.ring)
        self._presence.held[hold] = Held(command.rung_at, lambda: None)


@pytest.fixture
def keen(runtime: Runtime) -> Keen:
    return Keen(runtime)


def start(runtime: Runtime, keen: Keen, body: str = TWO) -> str:
    """Begin an instance and have its first activity end; with `TWO` the process goes on with the second."""
    define(body)
    instance = runtime.start()
    runtime.bells.rung.clear()
    go_on(runtime, keen, instance, "first")
    return instance


def go_on(runtime: Runtime, keen: Keen, instance: str, task: str) -> None:
    runtime.stepper.submit(instance, runtime.success(instance, task), None, keen)
    runtime.settle()


def sweep(runtime: Runtime) -> None:
    """Sweep, as one that has watched for long."""
    runtime.sweeper._watching_since = runtime.now - timedelta(minutes=2)
    runtime.sweeper.sweep()
    runtime.settle()


def node_of(runtime: Runtime, *, seen_ago: float) -> None:
    """Say when a process was heard of last."""
    presence, at = runtime.process.presence, timezone.now() - timedelta(seconds=seen_ago)
    values = {"name": "w", "roles": "compute", "started_at": at, "seen_at": at, "taken": {}, "held": []}
    models.Node.objects.update_or_create(pk=presence.id, defaults=values)


def test_the_commit_records_who_goes_on_and_nobody_is_rung_for(runtime: Runtime, keen: Keen):
    instance = start(runtime, keen)

    assert keen.begun == ["second"]
    assert runtime.bells.names == []
    assert state_of(instance).holders == {wait_of(instance, "second"): str(runtime.process.presence.id)}


def test_of_several_that_become_ready_one_is_gone_on_with(runtime: Runtime, keen: Keen):
    body = "do: [{first: {call: work}}, {fork: {fork: {branches: [{a: {call: work}}, {b: {call: work}}]}}}]"

    start(runtime, keen, body)

    assert (keen.begun, runtime.bells.names) == (["a"], ["b"])


def test_a_commit_that_fails_begins_nothing_and_is_decided_again(runtime: Runtime, keen: Keen):
    define(TWO)
    instance = runtime.start()
    with once(runtime.records.before, "save", lost):
        go_on(runtime, keen, instance, "first")

    assert keen.asked == 2
    assert keen.begun == ["second"]


def test_what_a_commit_that_looked_lost_left_open_is_rung_for_and_not_begun(runtime: Runtime, keen: Keen):
    define(TWO)
    instance = runtime.start()
    runtime.bells.rung.clear()
    with once(runtime.records.after, "save", lost):
        go_on(runtime, keen, instance, "first")

    assert (keen.begun, runtime.bells.names) == ([], ["second"])
    assert state_of(instance).holders == {}


def test_resuming_rings_for_no_activity_that_a_process_goes_on_with(runtime: Runtime, other: Runtime, keen: Keen):
    instance = start(runtime, keen)

    other.apply(instance, facts.SuspendRequested(at=other.now))
    other.apply(instance, facts.ResumeRequested(at=other.now))
    assert other.bells.names == []
    runtime.succeed(instance, "second")

    assert status_of(instance) == "completed"


def test_a_ring_that_is_owed_to_one_branch_is_no_ring_for_what_a_process_goes_on_with(
    runtime: Runtime, other: Runtime, keen: Keen
):
    body = "do: [{first: {call: work}}, {fork: {fork: {branches: [{a: {call: work}}, {b: {call: work}}]}}}]"
    define(body)
    instance = runtime.start()
    runtime.bells.is_away = True
    go_on(runtime, keen, instance, "first")

    models.Checkpoint.objects.filter(pk=instance).update(due_at=timezone.now())
    other.timekeeper.look()

    assert (keen.begun, other.bells.names) == (["a"], ["b"])


@pytest.mark.parametrize(("seen_ago", "rung", "deaths"), [(0, [], 0), (31, ["second 2"], 1)], ids=["lives", "died"])
def test_the_sweeper_rings_for_what_a_dead_process_went_on_with(
    runtime: Runtime, other: Runtime, keen: Keen, seen_ago: float, rung: list[str], deaths: int
):
    instance = start(runtime, keen)
    node_of(runtime, seen_ago=seen_ago)
    models.Checkpoint.objects.update(leased_until=timezone.now())
    other.bells.waiting = {"compute/3": 20_000}

    sweep(other)

    assert other.bells.names == rung
    assert [wait.deaths for wait in state_of(instance).waits.values()] == [deaths]
    assert bool(state_of(instance).holders) == (not rung)


def test_the_sweeper_rings_for_what_a_process_left_behind_without_blaming_it(
    runtime: Runtime, other: Runtime, keen: Keen
):
    instance = start(runtime, keen)
    long_ago(instance)

    sweep(other)

    assert other.bells.names == ["second 2"]
    assert [wait.deaths for wait in state_of(instance).waits.values()] == [0]


def test_the_sweeper_rings_for_what_a_living_process_went_on_with_and_does_not_report(
    runtime: Runtime, other: Runtime, keen: Keen
):
    instance = start(runtime, keen)
    node_of(runtime, seen_ago=0)
    long_ago(instance)

    sweep(other)

    assert other.bells.names == ["second 2"]


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_clock_that_is_set_makes_nothing_look_lost_before_its_holder_could_report_by_it(
    runtime: Runtime, other: Runtime, keen: Keen, set_clock: SetClock, by: timedelta
):
    instance = start(runtime, keen)
    node_of(runtime, seen_ago=0)
    sweep(other)

    set_clock(by)
    for seconds in (0, 4, 8, 12, 16, 19):
        set_clock(by + timedelta(seconds=seconds))
        other.sweeper.sweep()
        other.settle()

    assert other.bells.names == []
    assert state_of(instance).holders


def test_a_sweeper_that_has_just_begun_to_look_gives_holders_time_to_report(
    runtime: Runtime, other: Runtime, keen: Keen
):
    instance = start(runtime, keen)
    long_ago(instance)
    node_of(runtime, seen_ago=60)

    other.sweeper.sweep()
    other.settle()
    assert other.bells.names == []
    sweep(other)
    models.Checkpoint.objects.update(leased_until=timezone.now())
    sweep(other)

    assert other.bells.names == ["second 2"]


def test_a_process_that_is_alone_rings_for_what_an_earlier_one_went_on_with(
    runtime: Runtime, new_runtime: Callable[[], Runtime], keen: Keen
):
    instance = start(runtime, keen)
    successor = new_runtime()
    successor.process.presence.is_alone = True

    successor.records.ring_all()
    successor.timekeeper.look()

    assert successor.bells.names == ["second"]
    assert state_of(instance).holders == {}


def test_the_answer_to_an_activity_forgets_its_holder(runtime: Runtime, keen: Keen):
    instance = start(runtime, keen, "do: [{first: {call: work}}, {second: {call: work}}, {third: {call: work}}]")

    runtime.succeed(instance, "second")

    assert runtime.bells.names == ["third"]
    assert state_of(instance).holders == {}
