"""Limits: moves of a step, size of data and state."""

from tests.builders import START, Instance, run
from workflows.engine.commands import ContinueLater
from workflows.engine.driver import MOVES_LIMIT
from workflows.engine.facts import Continued, Started, SuspendRequested
from workflows.engine.scope import DATA_LIMIT_BYTES

LOOP = "do: [{count: {set: '${ . + 1 }'}}, {again: {switch: [{no: {when: . < 3000, then: count}}]}}]"


def test_a_step_stops_after_a_fixed_number_of_moves_and_goes_on_in_another():
    played = Instance(LOOP, 0)

    step = played.apply(Started(at=START))

    (later,) = step.commands
    assert isinstance(later, ContinueLater)
    assert played.status == "running"
    assert len(step.records) == MOVES_LIMIT
    while played.status == "running":
        later = next(command for command in step.commands if isinstance(command, ContinueLater))
        step = played.apply(Continued(at=START, wait_id=later.wait_id))
    assert played.output == 3000
    assert len(played.steps) == 7


def test_an_endless_loop_of_control_tasks_can_be_suspended_and_cancelled():
    played = Instance("do: [{loop: {set: 1, then: loop}}]")
    played.apply(Started(at=START))

    played.apply(SuspendRequested(at=START))
    assert played.status == "suspended"
    played.cancel()

    assert played.status == "cancelled"


def test_a_value_that_grows_beyond_the_limit_is_a_runtime_problem_of_its_task():
    played = run("do: [{double: {set: '${ . + . }'}}, {again: {set: '${ . }', then: double}}]", "x" * 100_000)

    assert (played.problem.type.rsplit("/", 1)[1], played.problem.instance) == ("runtime", "/do/0/double")


def test_a_state_that_grows_beyond_the_limit_faults_the_instance_with_a_runtime_problem():
    large = "x" * (DATA_LIMIT_BYTES // 3)
    played = run(
        "do: [{all: {fork: {branches: [{a: {call: work}}, {b: {call: work}}, {c: {call: work}}, {d: {call: work}}]}}}]"
    )

    played.succeed("a", large + "a")
    played.succeed("b", large + "b")
    played.succeed("c", large + "c")

    assert (played.status, played.problem.type.rsplit("/", 1)[1]) == ("faulted", "runtime")
    assert "limit" in played.problem.detail
    assert played.retry("beginning").changed


def test_what_was_written_and_dropped_again_does_not_count():
    large = "x" * (DATA_LIMIT_BYTES // 3)
    played = run("do: [{work: {call: work, then: work}}]")

    for _ in range(8):
        played.succeed("work", large)

    assert played.status == "running"


def test_an_instance_that_wrote_much_may_complete():
    large = "x" * (DATA_LIMIT_BYTES // 3)
    tasks = ", ".join(f"{{t{n}: {{do: [{{inner: {{set: '${{ . }}'}}}}]}}}}" for n in range(8))

    played = run(f"do: [{tasks}]", large)

    assert (played.status, played.output) == ("completed", large)


def test_a_value_that_is_nested_too_deeply_is_a_problem_and_no_crash():
    played = run("do: [{nest: {set: '${ [.] }', then: nest}}]", [])

    assert played.status == "faulted"
