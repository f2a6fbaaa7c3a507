"""Races between facts of one instance: rows 1, 2, 3 and 16 of the table in docs/architecture.md, part 4."""

from collections.abc import Callable

import pytest

from tests.runtimes import (
    BOTH,
    TWO,
    Beside,
    Gate,
    Runtime,
    checkpoint_of,
    define,
    let_time_pass,
    output_of,
    runs_of,
    state_of,
    status_of,
    wait_of,
)
from workflows import models
from workflows.engine import facts
from workflows.engine.problems import problem
from workflows.runtime.step import Due

RETRIED = """
do:
- tried:
    try: [{work: {call: work}}]
    catch: {retry: {delay: {seconds: 1}, limit: {attempt: {count: 3}}}}
"""
LIMITED = "do: [{work: {call: work, timeout: {after: {seconds: 5}}}}]"


def test_branches_that_end_in_two_processes_are_settled_by_the_row_lock(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(BOTH)
    instance = runtime.start()
    a, b = runtime.success(instance, "a", 1), runtime.success(instance, "b", 2)
    gate = runtime.records.before["save"] = Gate()

    first = beside.run(runtime.apply, instance, a)
    gate.await_arrival()
    second = beside.run(other.apply, instance, b)
    assert not second.done()
    gate.open()

    assert first.result()[0].changed
    assert second.result()[0].changed
    assert output_of(instance) == [1, 2]
    assert sorted(models.History.objects.filter(instance=instance).values_list("step", "ordinal")) == [
        (1, 0), (2, 0), (3, 0), (3, 1), (3, 2),
    ]  # fmt: skip


def test_one_fact_in_two_processes_at_once_is_applied_by_who_locks_first(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(TWO)
    instance = runtime.start()
    fact = runtime.success(instance, "first")
    gate = runtime.records.after["lock"] = Gate()

    first = beside.run(runtime.apply, instance, fact)
    gate.await_arrival()
    second = beside.run(other.apply, instance, fact)
    gate.open()

    assert (first.result()[0].changed, second.result()[0].changed) == (True, False)
    assert runs_of(instance) == ["first"]
    assert (runtime.bells.names, other.bells.names) == (["first", "second"], [])


def test_a_row_that_another_process_holds_is_passed_over_and_its_neighbours_go_on(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    runtime, other = new_runtime(), new_runtime()
    define(TWO)
    held, free = runtime.start(), runtime.start()
    facts_ = {instance: runtime.success(instance, "first") for instance in (held, free)}
    gate = runtime.records.before["save"] = Gate()
    keeper = beside.run(runtime.apply, held, facts_[held])
    gate.await_arrival()

    outcomes = []
    other.stepper.submit(held, facts_[held], lambda outcome: outcomes.append(("held", outcome.changed)))
    other.stepper.submit(free, facts_[free], lambda outcome: outcomes.append(("free", outcome.changed)))
    other.stepper.turn()
    assert outcomes == [("free", True)]
    gate.open()
    keeper.result()
    other.settle()

    assert outcomes == [("free", True), ("held", False)]


def test_a_wait_that_was_answered_is_gone_so_its_second_answer_changes_nothing(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    fact = runtime.success(instance, "first")

    first, second = runtime.apply(instance, fact), runtime.apply(instance, fact)

    assert (first[0].changed, second[0].changed) == (True, False)
    assert runs_of(instance) == ["first"]
    assert runtime.bells.names == ["first", "second"]


def test_of_doubles_in_one_batch_only_the_first_is_told_that_it_changed_something(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    outcomes = runtime.apply(instance, runtime.success(instance, "first"), runtime.success(instance, "first"))

    assert [outcome.changed for outcome in outcomes] == [True, False]


def test_an_answer_of_an_older_attempt_names_a_wait_that_never_comes_back(runtime: Runtime) -> None:
    define(RETRIED)
    instance = runtime.start()
    late = runtime.success(instance, "work", "late")
    failed = facts.ActivityFailed(at=runtime.now, wait_id=late.wait_id, problem=problem("communication", "away"))
    runtime.apply(instance, failed)
    runtime.apply(instance, facts.TimerFired(at=state_of(instance).due_at(), wait_id=timer_of(instance)))

    [outcome] = runtime.apply(instance, late)

    assert not outcome.changed
    assert wait_of(instance, "work") != late.wait_id


def test_an_answer_from_before_a_retry_from_the_beginning_changes_nothing(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    late = runtime.success(instance, "first", "late")
    runtime.apply(instance, facts.CancelRequested(at=runtime.now))
    runtime.apply(instance, facts.RetryRequested(at=runtime.now, source="beginning"))

    [outcome] = runtime.apply(instance, late)

    assert not outcome.changed
    assert status_of(instance) == "running"


def test_what_is_wanted_and_cancelled_within_one_batch_never_rings(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    runtime.apply(instance, runtime.success(instance, "first"), facts.CancelRequested(at=runtime.now))

    assert status_of(instance) == "cancelled"
    assert runtime.bells.names == ["first"]


def test_what_is_wanted_and_suspended_within_one_batch_rings_at_resume(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    runtime.apply(instance, runtime.success(instance, "first"), facts.SuspendRequested(at=runtime.now))
    assert runtime.bells.names == ["first"]
    runtime.apply(instance, facts.ResumeRequested(at=runtime.now))

    assert runtime.bells.names == ["first", "second"]


def test_a_result_that_is_here_beats_a_timeout_that_is_due_in_the_same_batch(runtime: Runtime) -> None:
    define(LIMITED)
    instance = runtime.start()
    let_time_pass(instance)

    timer, result = runtime.apply(instance, Due(), runtime.success(instance, "work", "in time"))

    assert result.changed
    assert timer is not None
    assert (status_of(instance), output_of(instance)) == ("completed", "in time")


def test_a_timeout_that_was_committed_first_makes_the_result_late(runtime: Runtime) -> None:
    define(LIMITED)
    instance = runtime.start()
    result = runtime.success(instance, "work", "too late")
    let_time_pass(instance)

    runtime.timekeeper.look()
    [outcome] = runtime.apply(instance, result)

    assert not outcome.changed
    assert status_of(instance) == "faulted"
    assert runtime.bells.dropped == [(instance, result.wait_id)]


def test_two_timekeepers_that_find_one_timer_fire_it_once(runtime: Runtime, other: Runtime, beside: Beside) -> None:
    define("do: [{nap: {wait: {seconds: 5}}}, {work: {call: work}}]")
    instance = runtime.start()
    let_time_pass(instance)
    gate = runtime.records.after["next_due"] = Gate()

    first = beside.run(runtime.timekeeper.look)
    gate.await_arrival()
    other.timekeeper.look()
    gate.open()
    first.result()

    assert runs_of(instance) == ["nap"]
    assert (runtime.bells.names, other.bells.names) == ([], ["work"])


def test_timers_that_are_due_together_fire_in_the_order_of_their_times(runtime: Runtime) -> None:
    branches = "[{late: {wait: {seconds: 9}}}, {soon: {wait: {seconds: 3}}}, {between: {wait: {seconds: 6}}}]"
    define(f"do: [{{all: {{fork: {{branches: {branches}}}}}}}]")
    instance = runtime.start()
    let_time_pass(instance)

    runtime.timekeeper.look()

    assert runs_of(instance) == ["soon", "between", "late", "all"]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_verb_and_an_end_at_once_are_settled_by_which_is_committed_first(runtime: Runtime, is_first: bool) -> None:
    define("do: [{work: {call: work}}]")
    instance = runtime.start()
    end, cancel = runtime.success(instance, "work"), facts.CancelRequested(at=runtime.now)

    outcomes = runtime.apply(instance, *((cancel, end) if is_first else (end, cancel)))

    assert [outcome.changed for outcome in outcomes] == [True, False]
    assert status_of(instance) == ("cancelled" if is_first else "completed")
    assert (checkpoint_of(instance) is None) is not is_first


def timer_of(instance: str) -> str:
    return next(name for name, wait in state_of(instance).waits.items() if wait.kind == "timer")
