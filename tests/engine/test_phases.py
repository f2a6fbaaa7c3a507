"""What phase an instance is in. Rule 43."""

from tests.builders import START, Instance, run
from workflows.engine.facts import ActivityFailed
from workflows.engine.problems import problem

RETRYING = "do: [{safe: {try: [{a: {call: work}}], catch: {retry: {delay: {seconds: 5}}}}}]"


def test_an_instance_is_pending_before_its_first_step_and_running_from_then_on():
    played = Instance("do: [{a: {call: work}}]")
    assert played.status == "pending"

    played.start()

    assert [(phase.status, phase.at) for phase in played.phases] == [("running", START)]


def test_an_instance_waits_while_a_retry_is_put_off():
    played = run(RETRYING)

    played.fail("a")
    assert played.status == "waiting"
    played.wait(5)

    assert [phase.status for phase in played.phases] == ["running", "waiting", "running"]


def test_an_instance_with_a_child_open_is_running():
    played = run("do: [{c: {run: {workflow: {namespace: tests, name: child, version: latest}}}}]")

    assert played.status == "running"


def test_a_child_is_the_latest_version_unless_one_is_named():
    played = run("do: [{c: {run: {workflow: {namespace: tests, name: child}}}}]")

    (child,) = played.children()
    assert child.version == "latest"


def test_a_wait_beside_an_activity_that_is_queued_is_no_waiting():
    played = run("do: [{both: {fork: {branches: [{a: {wait: PT1M}}, {b: {call: work}}]}}}]")

    assert (played.status, [phase.status for phase in played.phases]) == ("running", ["running"])


def test_an_instance_that_does_not_wait_for_the_world_ends_in_its_first_step():
    played = run("do: [{a: {set: {n: 1}}}]")

    assert [phase.status for phase in played.phases] == ["running", "completed"]
    assert len(played.steps) == 1


def test_an_instance_faults_and_runs_again_under_the_same_id():
    played = run("do: [{a: {call: work}}]")
    wait_id = played.request("a").wait_id
    played.apply(ActivityFailed(at=played.now, wait_id=wait_id, problem=problem("runtime", "broken"), answered=True))

    played.retry()

    assert [phase.status for phase in played.phases] == ["running", "faulted", "running"]
    assert played.state.instance_id == "i-1"
    assert played.request("a").wait_id != wait_id
