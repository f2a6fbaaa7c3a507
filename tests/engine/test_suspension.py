"""Suspend, resume and cancel."""

from datetime import timedelta

import pytest

from tests.builders import START, UNAVAILABLE, Instance, run
from workflows.engine.commands import Cancel, Finish, RunActivity
from workflows.engine.facts import ActivityLost, ActivitySucceeded, Started

TWO = "do: [{one: {call: work}}, {two: {call: work, with: {seen: '${ . }'}}}]"


def test_a_suspended_instance_enters_nothing_and_holds_the_results_of_what_was_running():
    played = run(TWO)
    played.suspend()

    step = played.succeed("one", "A")

    assert (played.status, played.state.waits, step.commands, step.records) == ("suspended", {}, (), ())
    played.resume()
    assert played.request("two").arguments["with"] == {"seen": "A"}


def test_held_results_are_applied_in_the_order_in_which_they_came():
    played = run(
        """
        do:
          - both:
              fork:
                branches:
                  - a: {call: work, export: {as: '{order: (($context.order // "") + "a")}'}}
                  - b: {call: work, export: {as: '{order: (($context.order // "") + "b")}'}}
        """
    )

    played.suspend()
    played.succeed("b", 2)
    played.succeed("a", 1)
    played.resume()

    assert (played.output, played.state.context) == ([1, 2], {"order": "ba"})


def test_a_held_failure_is_caught_at_resume():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {do: [{mend: {set: mended}}]}}}]")

    played.suspend()
    played.fail("work", UNAVAILABLE)
    assert played.status == "suspended"
    played.resume()

    assert played.output == "mended"


def test_what_is_still_open_is_rung_again_at_resume_under_the_same_ring():
    played = run(TWO)
    request = played.request("one")
    played.suspend()
    played.now += timedelta(seconds=60)

    step = played.resume()

    (again,) = [command for command in step.commands if isinstance(command, RunActivity)]
    assert (again.wait_id, again.ring, again.rung_at) == (request.wait_id, 1, played.now)


def test_waits_and_retry_delays_go_on_and_take_effect_at_resume():
    played = Instance("do: [{pause: {wait: {seconds: 10}}}, {after: {set: 1}}]").start()

    played.suspend()
    assert played.state.due_at() is None
    played.wait(20)
    assert played.status == "suspended"
    played.resume()
    assert played.state.due_at() == START + timedelta(seconds=10)
    played.wait(0)

    assert played.status == "completed"


def test_an_instance_resumes_by_itself_at_the_time_it_was_given():
    played = run(TWO)

    played.suspend(resume_at=START + timedelta(hours=1))
    assert played.state.due_at() == START + timedelta(hours=1)
    played.wait(3600)

    assert (played.status, played.state.due_at()) == ("running", None)


def test_phases_carry_reason_and_author():
    played = run(TWO)
    played.suspend()
    played.resume()

    assert [(phase.status, phase.by, phase.reason) for phase in played.phases] == [
        ("running", "", ""),
        ("suspended", "ann", "a pause"),
        ("running", "ann", ""),
    ]


def test_suspending_twice_and_resuming_what_runs_change_nothing():
    played = run(TWO)

    assert not played.resume().changed
    played.suspend()
    assert not played.suspend().changed


def test_an_instance_suspended_before_it_began_begins_at_resume():
    played = Instance(TWO)
    played.suspend()
    played.apply(Started(at=START))
    assert (played.status, played.open) == ("suspended", [])

    played.resume()

    assert (played.status, played.open) == ("running", ["one"])


def test_an_instance_resumed_before_it_began_is_pending_again():
    played = Instance(TWO)
    played.suspend()

    played.resume()

    assert played.status == "pending"


def test_a_lost_ring_is_not_rung_while_suspended():
    played = run(TWO)
    wait_id = played.request("one").wait_id
    played.suspend()

    assert not played.apply(ActivityLost(at=START, wait_id=wait_id, ring=1)).changed


def test_a_result_that_comes_twice_while_suspended_is_held_once():
    played = run(TWO)
    fact = ActivitySucceeded(at=START, wait_id=played.request("one").wait_id, output=1)
    played.suspend()

    assert played.apply(fact).changed
    assert not played.apply(fact).changed


def test_cancelling_drops_all_that_is_open_and_ends_the_instance():
    played = run("do: [{both: {fork: {branches: [{a: {call: work}}, {b: {wait: {seconds: 9}}}]}}}]")
    wait_id = played.request("a").wait_id

    step = played.cancel()

    assert played.status == "cancelled"
    assert step.commands == (Cancel(wait_id=wait_id, kind="activity"), Finish(status="cancelled"))
    assert played.history == ["b cancelled", "a cancelled", "both cancelled"]
    assert (played.phases[-1].reason, played.phases[-1].by) == ("enough", "ann")


@pytest.mark.parametrize("suspended", [False, True])
def test_a_pending_or_suspended_instance_can_be_cancelled(suspended):
    played = Instance(TWO)
    if suspended:
        played.start()
        played.suspend()
        played.succeed("one")

    played.cancel()

    assert played.status == "cancelled"
    assert not played.apply(Started(at=START)).changed


def test_cancelling_a_parent_cancels_the_child_it_waits_for():
    played = run("do: [{one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}}}}]")
    (child,) = played.children()

    step = played.cancel()

    assert step.commands[0] == Cancel(wait_id=child.wait_id, kind="child", child_id=child.child_id)


def test_an_ended_instance_can_neither_be_suspended_nor_cancelled():
    played = run("do: [{one: {set: 1}}]")

    assert not played.suspend().changed
    assert not played.cancel().changed
