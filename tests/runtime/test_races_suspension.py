"""Suspending against whatever else happens: row 15 of the table in docs/architecture.md, part 4; row 17 below it."""

from datetime import timedelta

from tests.runtimes import (
    BOTH,
    TWO,
    Beside,
    Gate,
    Runtime,
    checkpoint_of,
    define,
    due_in,
    let_time_pass,
    long_ago,
    lost,
    make_due,
    once,
    output_of,
    runs_of,
    state_of,
    status_of,
)
from workflows import models
from workflows.engine import facts
from workflows.runtime.step import Due

LONG = "do: [{many: {for: {in: .items}, do: [{one: {set: '${ $item }'}}]}}]"
ITEMS = {"items": list(range(1500))}
"""More tasks than one step enters."""


def suspend(runtime: Runtime, instance: str, **more: object) -> None:
    [outcome] = runtime.apply(instance, facts.SuspendRequested(at=runtime.now, by="ann", **more))  # type: ignore[arg-type]
    assert outcome.changed


def resume(runtime: Runtime, instance: str) -> None:
    [outcome] = runtime.apply(instance, facts.ResumeRequested(at=runtime.now, by="ann"))
    assert outcome.changed


def test_results_that_come_while_suspended_are_applied_at_resume_in_the_order_of_their_commits(
    runtime: Runtime, other: Runtime
) -> None:
    define(BOTH)
    instance = runtime.start()
    a, b = runtime.success(instance, "a", 1), runtime.success(instance, "b", 2)
    suspend(runtime, instance)

    assert other.apply(instance, b)[0].changed
    assert runtime.apply(instance, a)[0].changed
    assert (status_of(instance), runs_of(instance)) == ("suspended", [])
    resume(other, instance)

    assert (output_of(instance), runs_of(instance)) == ([1, 2], ["b", "a", "both"])


def test_a_result_and_a_suspension_at_once_are_settled_by_the_row_lock(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(TWO)
    instance = runtime.start()
    fact = runtime.success(instance, "first")
    gate = runtime.records.after["lock"] = Gate()

    result = beside.run(runtime.apply, instance, fact)
    gate.await_arrival()
    suspending = beside.run(suspend, other, instance)
    gate.open()
    result.result()
    suspending.result()

    assert (status_of(instance), runs_of(instance)) == ("suspended", ["first"])
    assert next(iter(state_of(instance).waits.values())).kind == "activity"


def test_a_doubled_result_is_held_once(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    one, two, three = (runtime.success(instance, "first") for _ in range(3))
    suspend(runtime, instance)

    outcomes = [*runtime.apply(instance, one, two), *runtime.apply(instance, three)]
    resume(runtime, instance)

    assert [outcome.changed for outcome in outcomes] == [True, False, False]
    assert runs_of(instance) == ["first"]
    assert runtime.bells.names == ["first", "second"]


def test_a_wait_that_ends_while_suspended_takes_effect_at_resume(runtime: Runtime) -> None:
    define("do: [{nap: {wait: {minutes: 1}}}, {work: {call: work}}]")
    instance = runtime.start()
    suspend(runtime, instance)
    let_time_pass(instance, hours=1)
    row = checkpoint_of(instance)
    assert row is not None
    assert row.due_at is None

    runtime.timekeeper.look()
    assert runs_of(instance) == []
    resume(runtime, instance)
    runtime.timekeeper.look()

    assert (runs_of(instance), runtime.bells.names) == (["nap"], ["work"])


def test_only_the_time_to_resume_makes_a_suspended_instance_due(runtime: Runtime) -> None:
    define("do: [{nap: {wait: {minutes: 1}}}]")
    instance = runtime.start()
    resume_at = runtime.now + timedelta(hours=1)
    suspend(runtime, instance, resume_at=resume_at)
    row = checkpoint_of(instance)
    assert row is not None
    assert row.due_at == resume_at

    let_time_pass(instance, hours=2)
    runtime.timekeeper.look()
    runtime.timekeeper.look()

    assert status_of(instance) == "completed"


def test_a_timekeeper_that_finds_a_suspended_instance_due_leaves_it_and_does_not_come_back_for_ever(
    runtime: Runtime,
) -> None:
    define(TWO)
    runtime.bells.is_away = True
    instance = runtime.start()
    runtime.bells.is_away = False
    suspend(runtime, instance)
    make_due(instance)

    runtime.timekeeper.look()

    assert due_in(runtime.records) == []
    assert runtime.bells.names == []


def test_resume_rings_for_what_is_open_and_nothing_rings_before(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    suspend(runtime, instance)

    runtime.sweeper.sweep()
    runtime.apply(instance, Due())
    assert runtime.bells.names == ["first"]
    resume(runtime, instance)

    assert runtime.bells.names == ["first", "first"]


def test_what_begins_later_and_was_suspended_meanwhile_still_begins_at_its_time(runtime: Runtime) -> None:
    define(TWO)
    start_at = runtime.now + timedelta(hours=1)
    instance = runtime.start(start_at=start_at)
    suspend(runtime, instance)
    resume(runtime, instance)

    row = checkpoint_of(instance)
    assert row is not None
    assert (status_of(instance), row.due_at) == ("pending", start_at)
    let_time_pass(instance, hours=2)
    runtime.timekeeper.look()

    assert (status_of(instance), runtime.bells.names) == ("running", ["first"])


def test_what_should_have_begun_while_it_was_suspended_begins_at_resume(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start(start_at=runtime.now + timedelta(hours=1))
    suspend(runtime, instance)
    let_time_pass(instance, hours=2)
    runtime.timekeeper.look()
    assert status_of(instance) == "suspended"

    resume(runtime, instance)
    runtime.timekeeper.look()

    assert (status_of(instance), runtime.bells.names) == ("running", ["first"])


def test_a_step_with_more_to_do_leaves_a_wait_and_goes_on(runtime: Runtime) -> None:
    define(LONG)

    instance = runtime.start(input=ITEMS)

    assert (status_of(instance), output_of(instance)) == ("completed", 1499)
    assert models.History.objects.filter(instance=instance).values("step").distinct().count() == 2


def test_a_continuation_that_was_lost_is_rung_like_an_activity(runtime: Runtime) -> None:
    define(LONG)
    birth = runtime.birth(input=ITEMS)
    runtime.stepper.begin(birth, lambda _: None)
    runtime.stepper.turn()
    runtime.stepper._inbox.get()
    instance = birth.instance_id
    assert status_of(instance) == "running"

    runtime.sweeper.sweep()
    runtime.settle()
    assert len(runs_of(instance)) < 1000
    long_ago(instance)
    runtime.sweeper.sweep()
    runtime.settle()

    assert status_of(instance) == "completed"


def test_a_continuation_whose_commit_was_not_answered_goes_on_at_once(runtime: Runtime) -> None:
    define(LONG)
    birth = runtime.birth(input=ITEMS)

    with once(runtime.records.after, "save", lost):
        runtime.stepper.begin(birth, lambda _: None)
        runtime.settle()

    assert status_of(birth.instance_id) == "completed"


def test_a_loop_without_end_can_be_cancelled(runtime: Runtime) -> None:
    define("do: [{again: {set: '${ . }', then: again}}]")
    birth = runtime.birth()
    runtime.stepper.begin(birth, lambda _: None)
    runtime.stepper.turn()

    runtime.apply(birth.instance_id, facts.CancelRequested(at=runtime.now))

    assert status_of(birth.instance_id) == "cancelled"
