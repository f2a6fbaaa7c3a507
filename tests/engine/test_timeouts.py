"""Timeouts of tasks and of the workflow."""

from tests.builders import Instance, run
from workflows.engine.commands import Cancel


def timed(task: str) -> Instance:
    return Instance(
        f"do: [{{task: {{{task}, timeout: {{after: {{seconds: 10}}}}}}}}, {{after: {{set: late}}}}]"
    ).start()


def test_a_task_that_takes_too_long_faults_with_a_timeout_problem_of_its_own():
    played = timed("call: work")
    wait_id = played.request("task").wait_id

    played.wait(10)

    assert (played.problem.type.rsplit("/", 1)[1], played.problem.status) == ("timeout", 408)
    assert played.problem.instance == "/do/0/task"
    assert Cancel(wait_id=wait_id, kind="activity") in played.commands


def test_a_task_that_ends_in_time_leaves_no_timer_behind():
    played = timed("call: work")

    played.succeed("task")

    assert (played.status, played.output) == ("completed", "late")


def test_a_timeout_names_the_task_that_timed_out_not_the_one_that_was_running():
    played = timed("do: [{inner: {call: work}}]")

    played.wait(10)

    assert played.problem.instance == "/do/0/task"
    assert played.history == ["inner cancelled", "task faulted"]


def test_a_timeout_covers_the_retries_inside():
    played = timed("try: [{work: {call: work}}], catch: {retry: {delay: {seconds: 4}}}")

    for _ in range(2):
        played.fail("work")
        played.wait(4)
    played.wait(2)

    assert (played.problem.status, played.problem.instance) == (408, "/do/0/task")


def test_a_tasks_timeout_can_be_caught():
    played = run(
        """
        do:
          - safe:
              try: [{slow: {call: work, timeout: {after: {seconds: 5}}}}]
              catch: {errors: {with: {status: 408}}, do: [{mend: {set: mended}}]}
        """
    )

    played.wait(5)

    assert played.output == "mended"


def test_a_workflows_timeout_cannot_be_caught():
    played = run(
        """
        timeout: {after: {seconds: 5}}
        do: [{safe: {try: [{slow: {call: work}}], catch: {do: [{mend: {set: 1}}]}}}]
        """
    )

    played.wait(5)

    assert (played.status, played.problem.status, played.problem.instance) == ("faulted", 408, "")
    assert played.history == ["slow cancelled", "safe cancelled"]


def test_an_activity_knows_the_earliest_time_at_which_a_timeout_ends_it():
    played = run(
        """
        timeout: {after: {seconds: 30}}
        do:
          - outer:
              timeout: {after: {seconds: 20}}
              do: [{work: {call: work, timeout: {after: {seconds: 25}}}}]
        """
    )

    assert (played.request("work").deadline_at - played.now).total_seconds() == 20


def test_without_a_timeout_an_activity_has_no_deadline():
    assert run("do: [{work: {call: work}}]").request("work").deadline_at is None


def test_timeouts_stand_still_while_the_instance_is_suspended():
    played = timed("call: work")
    played.wait(4)

    played.suspend()
    played.wait(100)
    played.resume()

    assert (played.request("task").deadline_at - played.now).total_seconds() == 6
    played.wait(5)
    assert played.status == "running"
    played.wait(1)
    assert played.problem.status == 408


def test_a_timeout_may_be_an_expression():
    played = run("do: [{task: {call: work, timeout: {after: '${ .span }'}}}]", {"span": "PT3S"})

    played.wait(3)

    assert played.problem.status == 408
