"""call, run, emit and wait: what is asked of the world, and what its answers do."""

from uuid import UUID

import pytest

from tests.builders import START, Instance, run
from workflows.engine.commands import Finish, Publish, RunActivity, SetTimer, StartChild
from workflows.engine.facts import ActivitySucceeded, ChildStarted
from workflows.engine.problems import problem

FUNCTION = """
    use:
      functions:
        greet:
          do:
            - say: {set: {text: '${ "Hello " + .name }', leaked: '${ $workflow.input.name }'}}
    do:
      - each:
          for: {in: .names}
          do:
            - hello: {call: greet, with: {name: '${ $item }'}, output: {as: .text}}
"""


def test_a_call_of_a_protocol_asks_for_an_activity_of_its_kind_with_evaluated_arguments():
    played = run(
        """
        do:
          - getPet:
              call: http
              with: {method: get, endpoint: {uri: 'https://pets.example/pets'}, query: {id: '${ .id }'}}
        """,
        {"id": 7},
    )

    (request,) = [command for command in played.commands if isinstance(command, RunActivity)]
    assert (request.kind, request.pool, request.attempt, request.ring) == ("http", "http", 1, 1)
    assert (request.name, request.position) == ("getPet", "/do/0/getPet")
    assert request.arguments["query"] == {"id": 7}
    assert request.rung_at == START
    assert played.request("getPet") == request


def test_a_call_of_a_python_function_names_it_and_leaves_the_pool_to_its_registration():
    played = run("do: [{charge: {call: 'billing/charge:1.0.0', with: {amount: '${ .total }'}}}]", {"total": 5})

    request = played.request("charge")
    assert (request.kind, request.pool) == ("function", "")
    assert request.arguments == {"function": "billing/charge:1.0.0", "with": {"amount": 5}}


def test_a_task_may_name_its_pool():
    assert run("do: [{work: {call: work, metadata: {pool: io}}}]").request("work").pool == "io"


def test_the_output_of_an_activity_is_the_tasks_raw_output_and_an_empty_one_is_null():
    played = run("do: [{one: {call: work, output: {as: .a}}}, {two: {call: work}}]")

    played.succeed("one", {"a": 1})
    assert played.runs[0].output.value == 1
    played.succeed("two")

    assert (played.status, played.output) == ("completed", None)
    assert Finish(status="completed") in played.commands


def test_the_history_says_who_ran_an_activity_and_since_when():
    played = run("do: [{work: {call: http, with: {method: get, endpoint: {uri: 'https://pets.example'}}}}]")
    wait_id = played.request("work").wait_id

    played.apply(ActivitySucceeded(at=START, wait_id=wait_id, output=1, worker="node-1", started_at=START))

    (found,) = played.runs
    assert (found.worker, found.pool, found.kind, found.started_at) == ("node-1", "http", "call", START)


def test_with_is_evaluated_on_the_callers_input_and_is_the_functions_whole_input():
    played = run(FUNCTION, {"names": ["Ada", "Bo"]})

    assert played.output == "Hello Bo"
    say = [run for run in played.runs if run.name == "say"]
    assert [run.input.value for run in say] == [{"name": "Ada"}, {"name": "Bo"}]


def test_no_variable_of_the_caller_leaks_into_a_function():
    played = run(FUNCTION.replace("$workflow.input.name", "$item"), {"names": ["Ada"]})

    assert played.problem.type.endswith("/expression")
    assert played.problem.instance == "/use/functions/greet/do/0/say"


def test_a_problem_in_a_function_reaches_the_try_around_its_call():
    played = run(
        """
        use: {functions: {work: {call: http, with: {method: get, endpoint: {uri: 'https://pets.example'}}}}}
        do: [{safe: {try: [{mine: {call: work}}], catch: {do: [{mend: {set: '${ $error.status }'}}]}}}]
        """
    )

    played.fail("work")

    assert played.output == 503


def test_a_function_that_calls_itself_without_end_becomes_a_problem():
    played = run("use: {functions: {again: {do: [{once: {call: again}}]}}}\ndo: [{start: {call: again}}]")

    assert played.problem.type.endswith("/runtime")


@pytest.mark.parametrize("kind", ["shell", "script"])
def test_a_process_is_an_activity_that_knows_what_to_return(kind):
    arguments = "{command: ls}" if kind == "shell" else "{language: python, code: 'print(1)'}"
    played = run(f"do: [{{work: {{run: {{{kind}: {arguments}, return: all}}}}}}]")

    request = played.request("work")
    assert (request.kind, request.pool) == (kind, "compute")
    assert request.arguments["return"] == "all"


def test_a_process_that_is_not_awaited_outputs_the_transformed_input_and_leaves_a_wait_behind():
    played = run("do: [{work: {input: {from: .n}, run: {shell: {command: ls}, await: false}}}]", {"n": 1})
    assert (played.status, played.output) == ("completed", 1)
    (wait_id,) = played.state.waits

    played.apply(ActivitySucceeded(at=START, wait_id=wait_id, output="ignored"))

    assert (played.state.waits, played.output) == ({}, 1)


def test_a_child_gets_the_tasks_input_unless_it_is_given_its_own():
    played = run(
        """
        do:
          - one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}}}
          - two: {run: {workflow: {namespace: tests, name: child, version: 1.0.0, input: {n: '${ .n + 1 }'}}}}
        """,
        {"n": 1},
    )

    (first,) = played.children()
    assert (first.namespace, first.name, first.version, first.input) == ("tests", "child", "1.0.0", {"n": 1})
    assert played.status == "running"
    played.end_child({"n": 5})
    (second,) = played.children()
    assert second.input == {"n": 6}
    played.end_child("done")

    assert played.output == "done"


def test_the_id_of_a_child_follows_from_its_parent_and_the_wait():
    text = "do: [{one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}}}}]"

    (first,), (again,), (other,) = [run(text, id=id).children() for id in ("i-1", "i-1", "i-2")]

    assert first.child_id == again.child_id != other.child_id
    assert UUID(first.child_id).version == 7


def test_a_childs_problem_is_the_tasks():
    played = run("do: [{one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}}}}]")

    played.end_child(problem=problem("validation", "no good"))

    assert (played.problem.detail, played.problem.instance) == ("no good", "/do/0/one")


def test_a_child_that_is_not_awaited_is_not_waited_for_but_known_to_have_begun():
    played = run("do: [{one: {run: {workflow: {namespace: tests, name: child, version: 1.0.0}, await: false}}}]", 3)
    (child,) = played.children()
    assert (played.status, played.output, child.awaited) == ("completed", 3, False)

    played.apply(ChildStarted(at=START, wait_id=child.wait_id))

    assert played.state.waits == {}
    assert [command for command in played.commands if isinstance(command, StartChild)] == [child]


def test_emit_outputs_the_cloud_event_and_publishes_it():
    played = run(
        """
        do:
          - tell:
              emit: {event: {with: {source: 'https://shop.example', type: order.placed, data: {id: '${ .id }'}}}}
        """,
        {"id": 7},
    )

    (event,) = played.published
    assert event == played.output
    assert event["data"] == {"id": 7}
    assert (event["specversion"], event["time"]) == ("1.0", "2026-01-02T03:04:05Z")


def test_each_event_has_an_id_of_its_own_that_a_replay_repeats():
    text = """
        do:
          - each:
              for: {in: '[1, 2]'}
              do: [{tell: {emit: {event: {with: {source: 'https://shop.example', type: told}}}}}]
    """

    first, again = run(text), run(text)

    assert len({event["id"] for event in first.published}) == 2
    assert first.published == again.published


def test_an_event_without_type_is_an_expression_problem():
    played = run("do: [{tell: {emit: {event: {with: {source: 'https://shop.example', type: '${ null }'}}}}}]")

    assert played.problem.type.endswith("/expression")
    assert not [command for command in played.commands if isinstance(command, Publish)]


def test_wait_outputs_its_input_after_its_time():
    played = Instance("do: [{pause: {wait: {seconds: 10}}}]", {"n": 1}).start()
    (timer,) = [command for command in played.commands if isinstance(command, SetTimer)]
    assert (timer.due_at - START).total_seconds() == 10
    assert played.status == "waiting"

    played.wait(9)
    assert played.status == "waiting"
    played.wait(1)

    assert (played.status, played.output) == ("completed", {"n": 1})


def test_with_an_activity_open_an_instance_is_running_with_timers_alone_it_waits():
    played = run("do: [{both: {fork: {branches: [{a: {call: work}}, {b: {wait: {seconds: 5}}}]}}}]")
    assert played.status == "running"

    played.succeed("a")
    assert played.status == "waiting"
    played.wait(5)

    assert [phase.status for phase in played.phases] == ["running", "waiting", "completed"]


def test_what_cannot_be_run_yet_is_a_configuration_problem():
    task = "call: 'log:1.0.0@global', with: {message: hello}"
    played = run(f"use: {{catalogs: {{global: {{endpoint: 'https://catalog.example'}}}}}}\ndo: [{{later: {{{task}}}}}]")

    assert (played.problem.type.rsplit("/", 1)[1], played.problem.status) == ("configuration", 400)
    assert "yet" in played.problem.detail


def test_authorization_describes_what_the_tasks_own_policy_sends():
    played = run(
        """
        do:
          - work:
              call: http
              with:
                method: get
                endpoint: {uri: 'https://pets.example', authentication: {bearer: {token: '${ .token }'}}}
              output: {as: $authorization}
        """,
        {"token": "t0ken"},
    )

    played.succeed("work")

    assert played.output == {"scheme": "Bearer", "parameter": "t0ken"}
