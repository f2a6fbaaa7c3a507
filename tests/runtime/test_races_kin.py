"""Parents and children: rows 18 to 20 of the table of races in docs/architecture.md, part 4."""

from collections.abc import Callable

import pytest

from tests.runtimes import (
    Beside,
    Gate,
    Runtime,
    checkpoint_of,
    children_of,
    define,
    long_ago,
    lost,
    once,
    output_of,
    problem_of,
    runs_of,
    state_of,
    status_of,
)
from tests.waiting import wait_until
from workflows import models
from workflows.engine import facts
from workflows.engine.commands import StartChild
from workflows.engine.problems import problem
from workflows.runtime.records import Changes

CHILD = "{child: {run: {workflow: {namespace: tests, name: child, version: latest}}}}"
UNAWAITED = CHILD.replace("version: latest}", "version: latest}, await: false")
AFTER = "{after: {call: work}}"
WORKING = "do: [{work: {call: work}}]"
SLEEPING = "do: [{nap: {wait: {days: 1}}}, {work: {call: work}}]"


def family(runtime: Runtime, child: str = WORKING, parent: str = f"do: [{CHILD}, {AFTER}]") -> tuple[str, str]:
    """Begin a parent; its id and that of its child."""
    define(child, name="child")
    define(parent)
    instance = runtime.start()
    [begun] = children_of(instance)
    return instance, begun


def half(runtime: Runtime, child: str = WORKING, parent: str = f"do: [{CHILD}, {AFTER}]") -> tuple[str, StartChild]:
    """Begin a parent whose child was not begun, as after a crash; its id and what would begin the child."""
    define(child, name="child")
    define(parent)
    birth = runtime.birth()
    runtime.stepper.begin(birth, lambda _: None)
    runtime.stepper.turn()
    runtime.stepper._inbox.get()
    assert children_of(birth.instance_id) == []
    [wait] = [wait for wait in state_of(birth.instance_id).waits.values() if wait.kind == "child"]
    command = wait.command()
    assert isinstance(command, StartChild)
    return birth.instance_id, command


def begin(runtime: Runtime, parent: str, command: StartChild) -> None:
    runtime.process.children.begin(parent, 3, command)
    runtime.settle()


def sweep(runtime: Runtime) -> None:
    runtime.sweeper.sweep()
    runtime.settle()


def test_a_child_that_is_begun_twice_is_one_by_the_id_that_follows_from_its_parents_wait(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    parent, command = half(runtime)
    gate = runtime.records.before["save"] = Gate()

    first = beside.run(begin, runtime, parent, command)
    gate.await_arrival()
    second = beside.run(begin, other, parent, command)
    gate.open()
    first.result()
    second.result()

    assert children_of(parent) == [command.child_id]
    assert runtime.bells.names + other.bells.names == ["work"]


def test_a_child_that_nobody_began_is_begun_by_the_sweeper(runtime: Runtime) -> None:
    parent, command = half(runtime)
    long_ago(parent)

    sweep(runtime)
    runtime.succeed(command.child_id, "work", 7)

    assert (status_of(parent), runs_of(parent)) == ("running", ["child"])


def test_the_end_of_a_child_reaches_its_parent_and_then_nothing_is_left_of_the_child(runtime: Runtime) -> None:
    parent, child = family(runtime)

    runtime.succeed(child, "work", 7)

    assert (checkpoint_of(child), runs_of(parent)) == (None, ["child"])
    assert runtime.bells.names == ["work", "after"]


def test_a_child_stays_until_its_parent_is_known_to_have_learnt_of_its_end(runtime: Runtime) -> None:
    parent, child = family(runtime)
    runtime.stepper.submit(child, runtime.success(child, "work", 7))
    runtime.stepper.turn()
    told = runtime.stepper._inbox.get()
    assert told is not None
    assert told.instance_id == parent
    assert (status_of(child), status_of(parent), runs_of(parent)) == ("completed", "running", [])
    assert checkpoint_of(child) is not None

    long_ago(child)
    sweep(runtime)

    assert (checkpoint_of(child), runs_of(parent)) == (None, ["child"])


def test_a_parent_that_was_told_while_nobody_noted_it_is_not_told_anew(runtime: Runtime) -> None:
    parent, child = family(runtime)
    runtime.stepper.submit(child, runtime.success(child, "work", 7))
    runtime.stepper.turn()
    runtime.stepper.turn()
    assert runs_of(parent) == ["child"]
    while not runtime.stepper._inbox.empty():
        runtime.stepper._inbox.get()

    long_ago(child)
    sweep(runtime)

    assert (checkpoint_of(child), runs_of(parent)) == (None, ["child"])
    assert runtime.bells.names == ["work", "after"]


def test_a_parent_finds_the_end_of_a_child_that_could_not_tell(runtime: Runtime) -> None:
    parent, child = family(runtime)
    runtime.stepper.submit(child, runtime.success(child, "work", 7))
    runtime.stepper.turn()
    runtime.stepper._inbox.get()
    models.Checkpoint.objects.filter(pk=child).delete()
    long_ago(parent)

    sweep(runtime)

    assert runs_of(parent) == ["child"]


def test_a_child_that_faults_is_the_problem_of_its_parents_task(runtime: Runtime) -> None:
    parent, child = family(runtime)
    failed = runtime.success(child, "work")
    fault = problem("communication", "away", status=503)

    runtime.apply(child, facts.ActivityFailed(at=runtime.now, wait_id=failed.wait_id, problem=fault))

    assert status_of(parent) == "faulted"
    assert problem_of(parent)["status"] == 503
    assert problem_of(parent)["instance"] == "/do/0/child"


def test_a_child_of_an_unknown_workflow_is_a_problem_of_its_parent(runtime: Runtime) -> None:
    define(f"do: [{CHILD}]")

    parent = runtime.start()

    assert status_of(parent) == "faulted"
    assert "tests/child:latest" in problem_of(parent)["detail"]


def test_a_child_that_cannot_be_stored_is_a_problem_of_its_parent(runtime: Runtime) -> None:
    define(WORKING, name="child")
    define(f"do: [{CHILD}]")

    def refuse(changes: Changes) -> None:
        if any(birth.parent for birth, _, _ in changes.births):
            raise ValueError("this cannot be written")

    runtime.records.before["save"] = refuse
    parent = runtime.start()

    assert status_of(parent) == "faulted"
    assert "could not be begun" in problem_of(parent)["detail"]


def test_a_child_that_was_buried_is_a_problem_of_its_parent(runtime: Runtime) -> None:
    parent, child = family(runtime)

    def refuse(changes: Changes) -> None:
        if any(after.instance_id == child for after in changes.checkpoints):
            raise ValueError("this cannot be written")

    runtime.records.before["save"] = refuse
    runtime.succeed(child, "work", 7)

    assert (status_of(child), status_of(parent)) == ("faulted", "faulted")


def test_the_parents_end_cancels_a_child_that_runs(runtime: Runtime) -> None:
    parent, child = family(runtime)

    runtime.apply(parent, facts.CancelRequested(at=runtime.now))

    assert (status_of(parent), status_of(child)) == ("cancelled", "cancelled")


def test_suspending_and_resuming_reach_a_child_that_runs(runtime: Runtime) -> None:
    parent, child = family(runtime)

    runtime.apply(parent, facts.SuspendRequested(at=runtime.now, by="ann"))
    assert status_of(child) == "suspended"
    runtime.apply(parent, facts.ResumeRequested(at=runtime.now, by="ann"))

    assert status_of(child) == "running"


def test_a_child_that_begins_after_its_parent_was_cancelled_sees_so_after_its_own_commit(
    runtime: Runtime, other: Runtime
) -> None:
    parent, command = half(runtime)
    other.apply(parent, facts.CancelRequested(at=runtime.now))

    begin(runtime, parent, command)

    assert status_of(command.child_id) == "cancelled"


def test_a_parent_cancelled_between_its_childs_lock_and_commit_is_seen_by_one_of_the_two(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    parent, command = half(runtime)
    gate = runtime.records.before["save"] = Gate()
    beginning = beside.run(begin, runtime, parent, command)
    gate.await_arrival()

    cancelling = beside.run(other.apply, parent, facts.CancelRequested(at=runtime.now))
    gate.open()
    beginning.result()
    cancelling.result()

    wait_until(lambda: status_of(command.child_id) == "cancelled", "the end of the child")


@pytest.mark.parametrize("body", [WORKING, SLEEPING])
def test_a_child_that_begins_while_its_parent_is_suspended_is_suspended_too_and_resumed_with_it(
    runtime: Runtime, other: Runtime, body: str
) -> None:
    parent, command = half(runtime, body)
    other.apply(parent, facts.SuspendRequested(at=runtime.now, by="ann"))

    begin(runtime, parent, command)
    assert status_of(command.child_id) == "suspended"
    other.apply(parent, facts.ResumeRequested(at=runtime.now, by="ann"))

    assert status_of(command.child_id) in ("running", "waiting")


VERBS: dict[str, Callable[[Runtime], facts.Fact]] = {
    "cancelled": lambda runtime: facts.CancelRequested(at=runtime.now),
    "suspended": lambda runtime: facts.SuspendRequested(at=runtime.now),
}


@pytest.mark.parametrize("body", [WORKING, SLEEPING])
@pytest.mark.parametrize("status", ["cancelled", "suspended"])
def test_the_sweeper_finds_a_child_that_its_parent_could_not_tell(runtime: Runtime, body: str, status: str) -> None:
    parent, child = family(runtime, body)
    runtime.stepper.submit(parent, VERBS[status](runtime))
    runtime.stepper.turn()
    runtime.stepper._inbox.get()
    assert (status_of(parent), status_of(child)) == (status, "running" if body == WORKING else "waiting")

    long_ago(child)
    sweep(runtime)

    assert status_of(child) == status


def test_the_sweeper_finds_a_child_whose_branch_lost(runtime: Runtime) -> None:
    fork = f"do: [{{race: {{fork: {{compete: true, branches: [{CHILD}, {AFTER}]}}}}}}, {{more: {{call: work}}}}]"
    parent, child = family(runtime, SLEEPING, fork)
    runtime.stepper.submit(parent, runtime.success(parent, "after"))
    runtime.stepper.turn()
    runtime.stepper._inbox.get()
    assert (status_of(parent), status_of(child)) == ("running", "waiting")

    long_ago(child)
    sweep(runtime)

    assert status_of(child) == "cancelled"


def test_the_sweeper_resumes_a_child_that_its_parent_could_not_tell(runtime: Runtime) -> None:
    parent, child = family(runtime, SLEEPING)
    runtime.apply(parent, facts.SuspendRequested(at=runtime.now, by="ann"))
    runtime.stepper.submit(parent, facts.ResumeRequested(at=runtime.now, by="ann"))
    runtime.stepper.turn()
    while not runtime.stepper._inbox.empty():
        runtime.stepper._inbox.get()
    assert status_of(child) == "suspended"

    long_ago(child)
    sweep(runtime)

    assert status_of(child) == "waiting"


def test_a_child_that_somebody_suspended_by_itself_stays_so(runtime: Runtime) -> None:
    _, child = family(runtime, SLEEPING)
    runtime.apply(child, facts.SuspendRequested(at=runtime.now, by="ann"))

    long_ago(child)
    sweep(runtime)

    assert status_of(child) == "suspended"


def test_a_child_that_is_retried_after_its_parent_knew_of_its_fault_runs_on_its_own(runtime: Runtime) -> None:
    parent, child = family(runtime)
    failed = runtime.success(child, "work")
    fault = problem("communication", "away", status=503)
    runtime.apply(child, facts.ActivityFailed(at=runtime.now, wait_id=failed.wait_id, problem=fault))
    runtime.apply(child, facts.RetryRequested(at=runtime.now))
    long_ago(child)

    sweep(runtime)
    assert status_of(child) == "running"
    runtime.succeed(child, "work", 7)

    assert (status_of(child), output_of(child), status_of(parent)) == ("completed", 7, "faulted")
    assert checkpoint_of(child) is None


def test_what_is_not_awaited_goes_on_without_its_parent(runtime: Runtime) -> None:
    parent, child = family(runtime, parent=f"do: [{UNAWAITED}, {AFTER}]")
    runtime.succeed(parent, "after")
    assert (status_of(parent), checkpoint_of(parent)) == ("completed", None)

    sweep(runtime)
    runtime.succeed(child, "work", 7)

    assert (status_of(child), checkpoint_of(child)) == ("completed", None)


def test_a_parent_that_ended_stays_until_what_it_does_not_await_is_known_to_have_begun(runtime: Runtime) -> None:
    parent, command = half(runtime, parent=f"do: [{UNAWAITED}]")
    assert status_of(parent) == "completed"
    assert checkpoint_of(parent) is not None
    long_ago(parent)

    sweep(runtime)

    assert children_of(parent) == [command.child_id]
    assert checkpoint_of(parent) is None


def test_a_start_of_a_child_whose_commit_was_not_answered_is_not_doubled(runtime: Runtime) -> None:
    parent, command = half(runtime)

    with once(runtime.records.after, "save", lost):
        begin(runtime, parent, command)

    assert children_of(parent) == [command.child_id]
    assert status_of(parent) == "running"
