"""Facts that are late, doubled, lost or not expected: what they change, which mostly is nothing."""

from datetime import timedelta

import msgspec
import pytest

from tests.builders import START, UNAVAILABLE, Instance, run
from workflows.engine.commands import Cancel, ContinueLater, RunActivity, StartChild
from workflows.engine.facts import (
    ActivityFailed,
    ActivityLost,
    ActivitySucceeded,
    ChildEnded,
    ChildStarted,
    Continued,
    EventArrived,
    ResumeRequested,
    RetryRequested,
    Started,
    TimerFired,
)

ONE = "do: [{work: {call: work}}, {more: {call: work}}]"


def test_an_answer_that_comes_twice_is_applied_once():
    played = run(ONE)
    fact = ActivitySucceeded(at=START, wait_id=played.request("work").wait_id, output=1)

    assert played.apply(fact).changed
    again = played.apply(fact)

    assert (again.changed, again.commands, again.records) == (False, (), ())


def test_a_late_answer_to_a_cancelled_wait_changes_nothing():
    played = run(
        "do: [{race: {fork: {compete: true, branches: [{a: {call: work}}, {b: {call: work}}]}}}, {more: {call: work}}]"
    )
    late = played.request("a").wait_id
    played.succeed("b")

    assert not played.apply(ActivitySucceeded(at=START, wait_id=late, output=1)).changed
    assert not played.apply(ActivityFailed(at=START, wait_id=late, problem=UNAVAILABLE)).changed


def test_an_answer_to_an_earlier_attempt_changes_nothing():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {retry: {}}}}]")
    earlier = played.request("work").wait_id
    played.fail("work")

    assert not played.apply(ActivitySucceeded(at=START, wait_id=earlier, output=1)).changed


def test_an_answer_after_the_end_changes_nothing():
    played = run(ONE)
    wait_id = played.request("work").wait_id
    played.cancel()

    assert not played.apply(ActivitySucceeded(at=START, wait_id=wait_id)).changed


def test_a_second_start_changes_nothing():
    played = run(ONE)

    assert not played.apply(Started(at=START)).changed


@pytest.mark.parametrize(
    "fact",
    [
        TimerFired(at=START, wait_id="WAIT"),
        ChildEnded(at=START, wait_id="WAIT", status="completed"),
        ChildStarted(at=START, wait_id="WAIT"),
        Continued(at=START, wait_id="WAIT"),
        EventArrived(at=START, wait_id="WAIT", event={}),
        ActivityLost(at=START, wait_id="WAIT", ring=7),
        ResumeRequested(at=START),
        RetryRequested(at=START),
    ],
)
def test_a_fact_that_does_not_fit_what_is_waited_for_changes_nothing(fact):
    played = run(ONE)
    if hasattr(fact, "wait_id"):
        fact = msgspec.structs.replace(fact, wait_id=played.request("work").wait_id)

    assert not played.apply(fact).changed


def test_a_timer_that_fires_before_its_time_changes_nothing():
    played = run("do: [{pause: {wait: {seconds: 5}}}]")
    (wait_id,) = played.state.waits

    assert not played.apply(TimerFired(at=START + timedelta(seconds=4), wait_id=wait_id)).changed


def test_that_a_child_has_begun_does_not_end_the_wait_for_its_end():
    played = run("do: [{one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}}}}]")
    (child,) = played.children()

    assert not played.apply(ChildStarted(at=START, wait_id=child.wait_id)).changed


def test_a_lost_ring_is_rung_again_with_the_same_bytes():
    played = run("do: [{work: {call: work, with: {n: 1.10}}}]")
    first = played.request("work")
    later = START + timedelta(minutes=1)

    step = played.apply(ActivityLost(at=later, wait_id=first.wait_id, ring=1))

    (again,) = step.commands
    assert isinstance(again, RunActivity)
    assert (again.ring, again.rung_at, again.suspect) == (2, later, False)
    assert (again.arguments, again.idempotency_key) == (first.arguments, first.idempotency_key)
    assert not played.apply(ActivityLost(at=later, wait_id=first.wait_id, ring=1)).changed


def test_an_activity_that_two_processes_died_with_is_rung_as_a_suspect():
    played = run(ONE)
    wait_id = played.request("work").wait_id

    (second,) = played.apply(ActivityLost(at=START, wait_id=wait_id, ring=1, blamed=True)).commands
    (third,) = played.apply(ActivityLost(at=START, wait_id=wait_id, ring=2, blamed=True)).commands

    assert (second.suspect, third.suspect) == (False, True)


def test_suspicion_makes_a_suspect_and_never_a_culprit():
    played = run(ONE)
    wait_id = played.request("work").wait_id

    suspects = []
    for ring in range(1, 8):
        (again,) = played.apply(ActivityLost(at=START, wait_id=wait_id, ring=ring, suspected=True)).commands
        suspects.append(again.suspect)

    assert suspects == [False, *[True] * 6]
    assert (played.status, played.state.waits[wait_id].deaths) == ("running", 2)
    played.apply(ActivityLost(at=START, wait_id=wait_id, ring=8, blamed=True))
    assert played.status == "faulted"


def test_how_many_deaths_are_too_many_comes_with_the_fact():
    played = run(ONE)
    wait_id = played.request("work").wait_id

    for ring in range(1, 5):
        played.apply(ActivityLost(at=START, wait_id=wait_id, ring=ring, blamed=True, limit=5))
    assert played.status == "running"
    played.apply(ActivityLost(at=START, wait_id=wait_id, ring=5, blamed=True, limit=5))

    assert played.problem.detail == "5 processes died while they ran the task 'work'; it is not tried again"


def test_after_three_deaths_the_instance_is_given_up_whatever_would_catch_it():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {do: [{mend: {set: 1}}]}}}]")
    wait_id = played.request("work").wait_id

    for ring in (1, 2, 3):
        step = played.apply(ActivityLost(at=START, wait_id=wait_id, ring=ring, blamed=True))

    assert (played.status, played.problem.type.rsplit("/", 1)[1]) == ("faulted", "runtime")
    assert "died" in played.problem.detail
    assert played.problem.instance == "/do/0/safe/try/0/work"
    assert Cancel(wait_id=wait_id, kind="activity") in step.commands
    assert played.retry().changed
    assert played.open == ["work"]


def test_a_lost_start_of_a_child_is_given_again():
    played = run("do: [{one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}, await: false}}}]")
    (child,) = played.children()

    (again,) = played.apply(ActivityLost(at=START, wait_id=child.wait_id, ring=1)).commands

    assert isinstance(again, StartChild)
    assert (again.child_id, again.ring) == (child.child_id, 2)


def test_a_process_that_is_not_awaited_and_kills_its_workers_is_let_go():
    played = run("do: [{work: {run: {shell: {command: ls}, await: false}}}]", 1)
    (wait_id,) = played.state.waits

    for ring in (1, 2, 3):
        played.apply(ActivityLost(at=START, wait_id=wait_id, ring=ring, blamed=True))

    assert (played.status, played.output, played.state.waits) == ("completed", 1, {})


def test_a_lost_continuation_is_given_again():
    played = Instance("do: [{loop: {set: 1, then: loop}}]")
    (later,) = played.apply(Started(at=START)).commands
    assert isinstance(later, ContinueLater)

    (again,) = played.apply(ActivityLost(at=START, wait_id=later.wait_id, ring=1)).commands

    assert isinstance(again, ContinueLater)
    assert again.ring == 2
