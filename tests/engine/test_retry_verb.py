"""Retry of a faulted or cancelled instance: from what failed, from a position, from the beginning."""

from tests.builders import UNAVAILABLE, Instance, run
from workflows.engine.facts import Started

ORDER = """
    do:
      - reserve: {call: work, with: {n: '${ .n }'}, export: {as: '$context + {reserved: true}'}}
      - charge: {call: work, with: {n: '${ .n }', reserved: '${ $context.reserved }'}}
      - ship: {set: {shipped: '${ . }'}}
"""


def faulted(text: str = ORDER, **answers: object) -> Instance:
    played = run(text, {"n": 1})
    for task, output in answers.items():
        played.succeed(task, output)
    played.fail(played.open[0])
    assert played.status == "faulted"
    return played


def test_failed_enters_the_task_that_faulted_again_with_its_raw_input_and_the_context_of_the_fault():
    played = faulted(reserve={"n": 2})

    assert played.retry().changed

    assert (played.status, played.state.problem) == ("running", None)
    assert played.request("charge").arguments["with"] == {"n": 2, "reserved": True}
    played.succeed("charge", "paid")
    assert played.output == {"shipped": "paid"}


def test_wait_ids_and_history_go_on_after_a_retry():
    played = faulted()
    before = {wait for step in played.steps for command in step.commands if (wait := getattr(command, "wait_id", None))}

    played.retry()

    assert played.request("reserve").wait_id not in before
    assert [phase.status for phase in played.phases] == ["running", "faulted", "running"]


def test_the_input_of_the_task_that_faulted_can_be_edited():
    played = faulted(reserve={"n": 2})

    played.retry(input={"n": 9})

    assert played.request("charge").arguments["with"] == {"n": 9, "reserved": True}


def test_retry_counts_begin_anew():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {retry: {limit: {attempt: {count: 1}}}}}}]")
    played.fail("work")
    played.fail("work")

    played.retry()
    played.fail("work")
    assert played.status == "running"
    played.succeed("work", 1)

    assert (played.status, played.output) == ("completed", 1)


def test_a_retry_in_a_loop_goes_on_with_the_iteration_that_faulted():
    text = "do: [{each: {for: {in: '[1, 2, 3]'}, do: [{add: {call: work, with: {item: '${ $item }'}}}]}}]"
    played = run(text)
    played.succeed("add")
    played.fail("add")

    played.retry()

    assert played.request("add").arguments["with"] == {"item": 2}
    played.succeed("add")
    assert played.request("add").arguments["with"] == {"item": 3}


def test_a_retry_enters_the_branches_again_that_the_fault_cancelled_and_keeps_what_had_ended():
    played = run(
        "do: [{all: {fork: {branches: [{a: {call: work}}, {b: {call: work}}, {c: {call: work}}]}}}]",
    )
    played.succeed("a", "A")
    played.fail("b")

    played.retry()

    assert sorted(played.open) == ["b", "c"]
    played.succeed("c", "C")
    played.succeed("b", "B")
    assert played.output == ["A", "B", "C"]


def test_a_position_in_the_top_list_enters_that_task_with_the_input_that_is_given():
    played = faulted(reserve={"n": 2})

    played.retry("/do/0/reserve", input={"n": 5})

    assert played.request("reserve").arguments["with"] == {"n": 5}
    assert played.state.context == {"reserved": True}


def test_a_position_in_a_list_that_was_being_worked_on_enters_that_task():
    played = run("do: [{outer: {do: [{a: {call: work}}, {b: {call: work}}]}}, {after: {set: '${ [.] }'}}]")
    played.succeed("a")
    played.fail("b")

    played.retry("/do/0/outer/do/0/a", input={"n": 1})

    assert played.open == ["a"]
    played.succeed("a", 1)
    played.succeed("b", 2)
    assert played.output == [2]


def test_a_position_outside_the_lists_that_were_worked_on_is_refused():
    played = run("do: [{first: {do: [{a: {set: 1}}]}}, {second: {call: work}}]")
    played.fail("second")

    assert not played.retry("/do/0/first/do/0/a", input=1).changed
    assert not played.retry("/do/7/nowhere", input=1).changed
    assert played.status == "faulted"


def test_a_position_other_than_the_fault_needs_its_input():
    played = faulted(reserve={"n": 2})

    assert not played.retry("/do/0/reserve").changed


def test_beginning_starts_over_with_the_old_input_and_an_empty_context():
    played = faulted(reserve={"n": 2})

    played.retry("beginning")

    assert played.request("reserve").arguments["with"] == {"n": 1}
    assert played.state.context == {}


def test_beginning_with_another_input_makes_that_the_workflows_raw_input():
    played = faulted("do: [{a: {call: work}}, {b: {set: '${ $workflow.input }'}}]")

    played.retry("beginning", input={"n": 9})
    played.succeed("a")

    assert played.output == {"n": 9}
    assert played.state.input == {"n": 9}


def test_a_retry_while_the_first_runs_is_refused():
    played = faulted()
    played.retry()

    assert not played.retry().changed


def test_a_completed_instance_is_not_retried():
    assert not run("do: [{a: {set: 1}}]").retry("beginning").changed


def test_a_cancelled_instance_goes_on_with_what_was_open():
    played = run("do: [{both: {fork: {branches: [{a: {call: work}}, {b: {wait: {seconds: 5}}}]}}}]")
    played.cancel()

    played.retry()

    assert played.open == ["a"]
    played.wait(5)
    played.succeed("a", 1)
    assert played.status == "completed"


def test_an_instance_cancelled_before_it_began_can_be_started_by_retry():
    played = Instance("do: [{a: {set: 1}}]")
    played.cancel()

    played.retry()

    assert (played.status, played.output) == ("completed", 1)


def test_a_start_that_comes_after_such_a_retry_changes_nothing():
    played = Instance("do: [{a: {call: work}}]")
    played.cancel()
    played.retry()

    assert not played.apply(Started(at=played.now)).changed


def test_a_workflow_whose_input_was_refused_is_retried_with_an_edited_input():
    played = run("input: {schema: {document: {required: [n]}}}\ndo: [{a: {set: '${ .n }'}}]", {})

    played.retry(input={"n": 3})

    assert (played.status, played.output) == ("completed", 3)


def test_timeouts_begin_anew_with_a_retry():
    played = run("do: [{outer: {timeout: {after: {seconds: 10}}, do: [{work: {call: work}}]}}]")
    played.wait(9)
    played.fail("work", UNAVAILABLE)

    played.retry()
    played.wait(9)
    assert played.status == "running"
    played.wait(1)

    assert played.problem.status == 408


def test_a_task_that_timed_out_is_entered_again_as_a_whole():
    played = run("do: [{outer: {timeout: {after: {seconds: 10}}, do: [{a: {set: 1}}, {b: {call: work}}]}}]")
    played.wait(10)

    played.retry()

    assert [run.name for run in played.runs].count("a") == 2
    assert played.open == ["b"]


def test_a_branch_is_not_entered_in_the_stead_of_another_which_the_fork_would_wait_for_in_vain():
    played = faulted("do: [{all: {fork: {branches: [{a: {call: work}}, {b: {set: {x: 1}}}]}}}]")

    refused = played.retry(source="/do/0/all/fork/branches/1/b", input=1)
    taken_up = played.retry(source="/do/0/all/fork/branches/0/a")

    assert (refused.changed, taken_up.changed) == (False, True)
    played.succeed("a", 1)
    assert played.output == [1, {"x": 1}]
