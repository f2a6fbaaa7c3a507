"""Group commit: what makes a batch, and what becomes of those that cannot be in it."""

import threading
from collections.abc import Callable

from tests.runtimes import (
    BOTH,
    ONE,
    TWO,
    Beside,
    Gate,
    Runtime,
    define,
    due_in,
    lost,
    once,
    output_of,
    runs_of,
    status_of,
)
from tests.waiting import wait_until
from workflows import models
from workflows.engine import facts
from workflows.runtime.ports import Outcome
from workflows.runtime.records import Changes, ContentionError
from workflows.runtime.step import Due
from workflows.runtime.stepper import BATCH, BATCH_BYTES


def saved(runtime: Runtime) -> list[Changes]:
    """What each transaction writes from now on."""
    found: list[Changes] = []
    runtime.records.before["save"] = found.append
    return found


def test_facts_that_arrive_while_a_transaction_commits_are_taken_together_by_the_next(runtime: Runtime) -> None:
    define(TWO)
    instances = [runtime.start() for _ in range(6)]
    answers = {each: runtime.success(each, "first") for each in instances}
    found: list[Changes] = []
    gate = Gate()

    def hold_the_first(changes: Changes) -> None:
        found.append(changes)
        if len(found) == 1:
            gate()

    runtime.records.before["save"] = hold_the_first
    runtime.stepper.start()
    done = threading.Semaphore(0)
    first, *others = instances
    runtime.stepper.submit(first, answers[first], lambda _: done.release())
    gate.await_arrival()
    for each in others:
        runtime.stepper.submit(each, answers[each], lambda _: done.release())
    gate.open()
    for _ in instances:
        assert done.acquire(timeout=20)

    assert [len(changes.checkpoints) for changes in found] == [1, 5]


def test_facts_of_one_instance_in_one_batch_are_one_row_and_a_step_each(runtime: Runtime) -> None:
    define(BOTH)
    instance = runtime.start()
    found = saved(runtime)

    runtime.apply(instance, runtime.success(instance, "a", 1), runtime.success(instance, "b", 2))

    assert len(found) == 1
    assert output_of(instance) == [1, 2]
    steps = models.History.objects.filter(instance=instance).order_by("step").values_list("step", flat=True).distinct()
    assert list(steps) == [1, 2, 3]


def test_a_batch_is_locked_in_the_order_of_ids(runtime: Runtime) -> None:
    define(ONE)
    instances = [runtime.start() for _ in range(4)]
    locked: list[list[str]] = []
    runtime.records.before["lock"] = locked.append

    for each in reversed(instances):
        runtime.stepper.submit(each, Due())
    runtime.settle()

    assert locked == [sorted(instances)]


def test_a_fact_that_changes_nothing_writes_nothing(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()
    found = saved(runtime)

    [outcome] = runtime.apply(instance, facts.TimerFired(at=runtime.now, wait_id="77"))

    assert (outcome.changed, outcome.found) == (False, True)
    assert found == []


def test_a_fact_for_nobody_is_answered(runtime: Runtime) -> None:
    [outcome] = runtime.apply("01900000-0000-7000-8000-000000000000", Due())

    assert (outcome.changed, outcome.found) == (False, False)


def test_a_batch_takes_no_more_instances_than_it_may(runtime: Runtime) -> None:
    define(ONE)
    found = saved(runtime)
    outcomes: list[Outcome] = []

    for _ in range(BATCH + 3):
        runtime.stepper.begin(runtime.birth(), outcomes.append)
    runtime.settle()

    assert [len(changes.births) for changes in found] == [BATCH, 3]
    assert all(outcome.changed for outcome in outcomes)


def test_a_batch_of_large_inputs_is_written_in_several_transactions(
    sqlite: str, new_runtime: Callable[[], Runtime]
) -> None:
    runtime = new_runtime()
    define(ONE)
    found = saved(runtime)
    outcomes: list[Outcome] = []
    large = "x" * (BATCH_BYTES // 2 + 1)

    for is_claimed in (False, False, True):
        birth = runtime.birth(input=1 if is_claimed else large, may_exist=is_claimed)
        runtime.stepper.begin(birth, outcomes.append)
    runtime.settle()

    # What may exist already has claimed its id with the first statement, so it belongs to the first transaction.
    assert [len(changes.births) for changes in found] == [2, 1]
    assert [outcome.changed for outcome in outcomes] == [True] * 3


def test_a_culprit_is_found_by_halves(runtime: Runtime) -> None:
    define(ONE)
    instances = [runtime.start() for _ in range(8)]
    tries: list[int] = []

    def refuse(changes: Changes) -> None:
        tries.append(len(changes.removed))
        if instances[5] in changes.removed:
            raise ValueError("this cannot be written")

    runtime.records.before["save"] = refuse
    for each in instances:
        runtime.stepper.submit(each, runtime.success(each, "work"))
    runtime.settle()

    assert tries == [8, 4, 4, 2, 1, 1, 1, 2]
    assert [status_of(each) for each in instances].count("completed") == 7


def test_contention_has_the_batch_taken_again_as_it_is(runtime: Runtime) -> None:
    define(TWO)
    instances = [runtime.start() for _ in range(3)]
    found: list[Changes] = []

    def give_way(changes: Changes) -> None:
        found.append(changes)
        if len(found) < 3:
            raise ContentionError("deadlock detected")

    runtime.records.before["save"] = give_way
    for each in instances:
        runtime.stepper.submit(each, runtime.success(each, "first"))
    runtime.settle()

    assert [len(changes.checkpoints) for changes in found] == [3, 3, 3]
    assert [runs_of(each) for each in instances] == [["first"]] * 3


def test_a_row_that_is_held_for_long_is_waited_for_alone_and_lets_others_go_on(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    keeper, runtime = new_runtime(), new_runtime()
    define(ONE)
    held, free = keeper.start(), keeper.start()
    answer, other_answer = keeper.success(held, "work"), keeper.success(free, "work")
    gate = keeper.records.before["save"] = Gate()
    holding = beside.run(keeper.apply, held, facts.SuspendRequested(at=keeper.now))
    gate.await_arrival()
    waits: list[bool] = []
    impatient = iter([True])

    def lock(ids: list[str], *_: object) -> None:
        if held in ids:
            waits.append(True)
        if len(waits) == 4 and next(impatient, False):
            # As after `lock_timeout`.
            runtime.stepper.submit(free, other_answer)
            raise ContentionError("the lock was not to be had in time")
        if len(waits) == 6:
            gate.open()

    runtime.records.before["lock"] = lock
    outcomes: list[Outcome] = []
    runtime.stepper.submit(held, answer, outcomes.append)
    runtime.settle()
    holding.result()

    assert [outcome.changed for outcome in outcomes] == [True]
    assert (status_of(held), status_of(free)) == ("suspended", "completed")
    assert len(waits) >= 6


def test_stopping_takes_what_has_arrived(runtime: Runtime) -> None:
    define(ONE)
    instances = [runtime.start() for _ in range(3)]
    for each in instances:
        runtime.stepper.submit(each, runtime.success(each, "work"))

    runtime.stepper.start()
    runtime.stepper.stop()

    assert [status_of(each) for each in instances] == ["completed"] * 3


def test_stopping_waits_for_what_was_set_aside(runtime: Runtime) -> None:
    define("do: [{work: {call: work}}, {think: {set: '${ [limit(3; repeat(1))] | length }'}}]")
    instance = runtime.start()
    runtime.stepper.submit(instance, runtime.success(instance, "work"))

    runtime.stepper.start()
    runtime.stepper.stop()

    assert (status_of(instance), output_of(instance)) == ("completed", 3)


def test_stopping_does_not_wait_for_a_loop_without_end(runtime: Runtime) -> None:
    define("do: [{again: {set: '${ . }', then: again}}]")
    runtime.stepper.start()
    begun: list[Outcome] = []
    birth = runtime.birth()
    runtime.stepper.begin(birth, begun.append)
    wait_until(lambda: begun, "the start")

    runtime.stepper.stop()

    assert status_of(birth.instance_id) == "running"


def test_a_start_that_was_withdrawn_in_time_never_happens(runtime: Runtime) -> None:
    define(ONE)
    outcomes: list[Outcome] = []

    work = runtime.stepper.begin(runtime.birth(), outcomes.append)
    assert work.withdraw()
    runtime.settle()

    assert outcomes == []
    assert not models.Instance.objects.exists()


def test_a_start_that_was_begun_cannot_be_withdrawn(runtime: Runtime) -> None:
    define(ONE)
    outcomes: list[Outcome] = []

    with once(runtime.records.before, "save", lost):
        work = runtime.stepper.begin(runtime.birth(), outcomes.append)
        runtime.settle()

    assert not work.withdraw()
    assert [outcome.changed for outcome in outcomes] == [True]


def test_a_fact_for_an_instance_that_arrives_with_its_second_start_is_not_lost(runtime: Runtime) -> None:
    define(TWO)
    chosen = "01900000-0000-7000-8000-000000000003"
    runtime.start(instance_id=chosen, may_exist=True)
    outcomes: list[Outcome] = []

    runtime.stepper.begin(runtime.birth(instance_id=chosen, may_exist=True), outcomes.append)
    runtime.stepper.submit(chosen, facts.CancelRequested(at=runtime.now), outcomes.append)
    runtime.settle()

    assert [outcome.changed for outcome in outcomes] == [False, True]
    assert status_of(chosen) == "cancelled"


def test_a_start_whose_first_step_takes_long_is_stored_before_it(runtime: Runtime) -> None:
    define("do: [{think: {set: '${ [limit(3; repeat(1))] | length }'}}]")
    outcomes: list[Outcome] = []
    birth = runtime.birth()

    runtime.stepper.begin(birth, outcomes.append)
    runtime.stepper.turn()
    assert status_of(birth.instance_id) == "pending"
    assert due_in(runtime.records) == [birth.instance_id]
    runtime.settle()

    assert len(outcomes) == 1
    assert (status_of(birth.instance_id), output_of(birth.instance_id)) == ("completed", 3)


def test_a_definition_that_is_gone_buries_its_instance_and_no_other(runtime: Runtime) -> None:
    define(ONE)
    instance, neighbour = runtime.start(), runtime.start()
    answers = [runtime.success(each, "work") for each in (instance, neighbour)]
    models.Checkpoint.objects.filter(pk=instance).update(definition=4711)

    runtime.stepper.submit(instance, answers[0])
    runtime.stepper.submit(neighbour, answers[1])
    runtime.settle()

    assert (status_of(instance), status_of(neighbour)) == ("faulted", "completed")


def test_a_state_of_another_schema_buries_its_instance_and_no_other(runtime: Runtime) -> None:
    define(ONE)
    instance, neighbour = runtime.start(), runtime.start()
    answers = [runtime.success(each, "work") for each in (instance, neighbour)]
    models.Checkpoint.objects.filter(pk=instance).update(state=b"\x00[99,[],[]]")

    for each, answer in zip((instance, neighbour), answers, strict=True):
        runtime.stepper.submit(each, answer)
    runtime.settle()

    assert (status_of(instance), status_of(neighbour)) == ("faulted", "completed")
