"""What others ask of a state."""

from datetime import timedelta

from tests.builders import START, Instance, run
from workflows.engine import new_state
from workflows.engine.facts import Started

FORK = "do: [{both: {fork: {branches: [{a: {do: [{one: {call: work}}]}}, {b: {wait: {seconds: 5}}}]}}}]"


def test_positions_are_those_of_the_innermost_tasks():
    played = run(FORK)

    assert played.state.positions() == ["/do/0/both/fork/branches/0/a/do/0/one", "/do/0/both/fork/branches/1/b"]


def test_a_task_that_is_about_to_be_entered_is_a_position_too():
    played = run(FORK)
    played.suspend()
    played.succeed("one")
    assert "/do/0/both/fork/branches/0/a/do/0/one" in played.state.positions()

    played = Instance("do: [{loop: {set: 1, then: loop}}]")
    played.apply(Started(at=START))
    assert played.state.positions() == ["/do/0/loop"]


def test_running_tasks_come_in_the_order_of_their_start():
    played = run(FORK)

    assert [frame.position.rsplit("/", 1)[1] for frame in played.state.running_tasks()] == ["both", "a", "one", "b"]
    assert {frame.started_at for frame in played.state.running_tasks()} == {START}


def test_a_state_knows_when_its_next_timer_fires_and_whether_somebody_must_be_rung():
    played = run(FORK)
    assert (played.state.due_at(), played.state.has_open_activities()) == (START + timedelta(seconds=5), True)

    played.succeed("one")
    assert (played.state.due_at(), played.state.has_open_activities()) == (START + timedelta(seconds=5), False)

    played.wait(5)
    assert (played.state.due_at(), played.state.has_open_activities()) == (None, False)


def test_a_new_state_is_pending_with_an_empty_context():
    state = new_state(instance_id="i", input={"n": 1}, seal="s", parent="p", parent_wait="7")

    assert (state.status, state.input, state.context, state.output, state.problem) == (
        "pending",
        {"n": 1},
        {},
        None,
        None,
    )
    assert (state.parent, state.parent_wait, state.positions()) == ("p", "7", [])
