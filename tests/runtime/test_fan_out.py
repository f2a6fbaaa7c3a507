"""A parallel `for` of many items, its results arriving in bulk at several processes, and crashes at its joins."""

from random import Random

import pytest

from tests.runtimes import (
    Beside,
    Gate,
    Runtime,
    checkpoint_of,
    define,
    long_ago,
    once,
    output_of,
    phases_of,
    state_of,
    status_of,
)
from workflows import models
from workflows.engine import facts
from workflows.engine.commands import RunActivity
from workflows.engine.problems import problem
from workflows.runtime.records import UnreachableError

COUNT = 150
EACH = "do: [{all: {for: {each: n, in: .items, parallel: true}, do: [{work: {call: work, with: {n: '${ $n }'}}}]}}]"
RETRIED = """
do:
- all:
    for: {each: n, in: .items, parallel: true}
    do:
    - safely: {try: [{work: {call: work, with: {n: '${ $n }'}}}], catch: {retry: {limit: {attempt: {count: 1}}}}}
"""
ITEMS = {"items": list(range(COUNT))}
OUTPUT = [n * n for n in range(COUNT)]


class DiedError(BaseException):
    """The process is killed here."""


def die(*_: object) -> None:
    raise DiedError


def lose_connection(*_: object) -> None:
    raise UnreachableError("the connection is gone")


def answers(runtime: Runtime, instance: str) -> list[facts.ActivitySucceeded]:
    """The results of all open items, in an order of their own."""
    found = []
    for wait_id, wait in state_of(instance).waits.items():
        command = wait.command()
        assert isinstance(command, RunActivity)
        n = command.arguments["with"]["n"]
        found.append(facts.ActivitySucceeded(at=runtime.now, wait_id=wait_id, output=n * n, worker="w"))
    Random(7).shuffle(found)
    return found


def recorded_items(instance: str, status: str = "completed") -> list[int]:
    rows = models.History.objects.filter(instance=instance, name="work", status=status)
    return sorted(rows.values_list("iteration", flat=True))


def test_results_that_reach_two_processes_in_turn_and_twice_are_joined_once_and_in_order(
    runtime: Runtime, other: Runtime
) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    applied = []

    for begin in range(0, COUNT, 50):
        process = (runtime, other)[begin // 50 % 2]
        applied += [outcome.changed for outcome in process.apply(instance, *given[begin : begin + 50])]
        applied += [outcome.changed for outcome in other.apply(instance, *given[begin : begin + 20])]

    assert applied.count(True) == COUNT
    assert (status_of(instance), output_of(instance)) == ("completed", OUTPUT)
    assert recorded_items(instance) == list(range(COUNT))
    assert checkpoint_of(instance) is None


def test_the_last_results_of_two_processes_at_once_are_joined_by_whoever_comes_second(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    gate = runtime.records.before["save"] = Gate()

    first = beside.run(runtime.apply, instance, *given[:75])
    gate.await_arrival()
    second = beside.run(other.apply, instance, *given[75:])
    gate.open()

    assert all(outcome.changed for outcome in (*first.result(), *second.result()))
    assert output_of(instance) == OUTPUT
    assert recorded_items(instance) == list(range(COUNT))


@pytest.mark.parametrize("hooks", ["before", "after"])
def test_a_process_that_dies_before_or_after_the_commit_of_the_join_leaves_it_to_the_next_or_has_done_it(
    runtime: Runtime, other: Runtime, hooks: str
) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    runtime.apply(instance, *given[:100])

    with once(getattr(runtime.records, hooks), "save", die), pytest.raises(DiedError):
        runtime.apply(instance, *given[100:])
    runtime.records.rollback()
    applied = [outcome.changed for outcome in other.apply(instance, *given)]

    assert applied.count(True) == (50 if hooks == "before" else 0)
    assert (status_of(instance), output_of(instance)) == ("completed", OUTPUT)
    assert recorded_items(instance) == list(range(COUNT))


@pytest.mark.parametrize("hooks", ["before", "after"])
def test_a_join_whose_commit_was_not_seen_is_looked_for_and_made_once(runtime: Runtime, hooks: str) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)

    with once(getattr(runtime.records, hooks), "save", lose_connection):
        runtime.apply(instance, *given)

    assert (status_of(instance), output_of(instance)) == ("completed", OUTPUT)
    assert recorded_items(instance) == list(range(COUNT))
    assert phases_of(instance) == ["running", "completed"]


def test_results_that_come_while_it_is_suspended_are_held_and_joined_at_resume(runtime: Runtime) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    runtime.apply(instance, *given[:40])
    runtime.apply(instance, facts.SuspendRequested(at=runtime.now))

    runtime.apply(instance, *given[40:], *given[:40])
    assert (status_of(instance), len(state_of(instance).held)) == ("suspended", COUNT - 40)
    runtime.apply(instance, facts.ResumeRequested(at=runtime.now))

    assert (status_of(instance), output_of(instance)) == ("completed", OUTPUT)


def test_a_cancelled_fan_out_records_each_open_item_and_late_results_change_nothing(runtime: Runtime) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    runtime.apply(instance, *given[:40])

    runtime.apply(instance, facts.CancelRequested(at=runtime.now))
    late = runtime.apply(instance, *given[40:])

    assert not any(outcome.changed for outcome in late)
    assert (len(recorded_items(instance)), len(recorded_items(instance, "cancelled"))) == (40, COUNT - 40)
    assert {wait_id for _, wait_id in runtime.bells.dropped} == {fact.wait_id for fact in given[40:]}


def test_after_an_item_failed_a_retry_runs_again_only_those_that_had_not_ended(runtime: Runtime) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    fault = problem("communication", "away", status=503)
    runtime.apply(instance, *given[:40])
    runtime.apply(instance, facts.ActivityFailed(at=runtime.now, wait_id=given[40].wait_id, problem=fault))
    assert status_of(instance) == "faulted"
    runtime.bells.rung.clear()

    runtime.apply(instance, facts.RetryRequested(at=runtime.now))
    again = [delivery.command.arguments["with"]["n"] for delivery in runtime.bells.rung]
    runtime.apply(instance, *answers(runtime, instance))

    assert sorted(n * n for n in again) == sorted(fact.output for fact in given[40:])
    assert (status_of(instance), output_of(instance)) == ("completed", OUTPUT)
    assert recorded_items(instance) == list(range(COUNT))


def test_items_that_fail_are_each_tried_again_and_joined_with_the_others(runtime: Runtime, other: Runtime) -> None:
    define(RETRIED)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    fault = problem("communication", "away", status=503)
    failed = [facts.ActivityFailed(at=runtime.now, wait_id=fact.wait_id, problem=fault) for fact in given[:60]]

    runtime.apply(instance, *failed, *given[60:90])
    other.apply(instance, *answers(other, instance))

    assert (status_of(instance), output_of(instance)) == ("completed", OUTPUT)
    assert recorded_items(instance, "faulted") == sorted(int(fact.output**0.5) for fact in given[:60])


def test_only_the_items_whose_rings_were_lost_are_rung_again(runtime: Runtime) -> None:
    define(EACH)
    instance = runtime.start(input=ITEMS)
    given = answers(runtime, instance)
    runtime.apply(instance, *given[:140])
    runtime.bells.rung.clear()
    long_ago(instance)

    runtime.bells.waiting = {"compute/3": 0}
    sweeper = runtime.new_sweeper(lease_seconds=0.001)
    sweeper.sweep()
    sweeper.sweep()
    runtime.settle()

    assert {(each.command.wait_id, each.command.ring) for each in runtime.bells.rung} == {
        (fact.wait_id, 2) for fact in given[140:]
    }
    runtime.apply(instance, *given[140:])
    assert output_of(instance) == OUTPUT
