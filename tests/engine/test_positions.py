"""Where a problem says it arose, and what it says. Rules 10 to 12 and 15."""

import pytest

from tests.builders import run

RAISE = (
    "{raise: {error: {type: 'https://serverlessworkflow.io/spec/1.0.0/errors/runtime', status: 500, instance: /mine}}}"
)


@pytest.mark.parametrize(
    ("tasks", "position"),
    [
        ("[{name: BAD}]", "/do/0/name"),
        ("[{a: {set: {n: 1}}}, {x: {do: [{y: BAD}]}}]", "/do/1/x/do/0/y"),
        ("[{x: {try: [{y: BAD}], catch: {errors: {with: {status: 1}}}}}]", "/do/0/x/try/0/y"),
        ("[{x: {try: [{y: BAD}], catch: {do: [{z: BAD}]}}}]", "/do/0/x/catch/do/0/z"),
        ("[{f: {fork: {branches: [{a: {wait: PT1H}}, {b: BAD}]}}}]", "/do/0/f/fork/branches/1/b"),
        ("[{f: {fork: {branches: [{b: {do: [{c: BAD}]}}]}}}]", "/do/0/f/fork/branches/0/b/do/0/c"),
        ("[{l: {for: {in: '[1, 2]'}, do: [{i: BAD}]}}]", "/do/0/l/for/do/0/i"),
        ("[{'a/b~c': {do: [{'${x}': BAD}]}}]", "/do/0/a~1b~0c/do/0/${x}"),
    ],
)
def test_the_instance_of_a_problem_is_the_pointer_of_its_task_and_wins_over_the_authors(tasks, position):
    played = run(f"do: {tasks.replace('BAD', RAISE)}")

    assert played.problem.instance == position


def test_iteration_and_attempt_stand_in_the_history_and_not_in_the_pointer():
    retry = "{delay: {seconds: 0}, limit: {attempt: {count: 1}}}"
    played = run(
        f"do: [{{l: {{for: {{in: '[1]'}}, do: [{{x: {{try: [{{y: {RAISE}}}], catch: {{retry: {retry}}}}}}}]}}}}]"
    )
    played.wait(1)

    assert played.problem.instance == "/do/0/l/for/do/0/x/try/0/y"
    assert [(run.attempt, run.iteration) for run in played.runs if run.name == "y"] == [(1, 0), (2, 0)]


@pytest.mark.parametrize(
    ("text", "name", "status"),
    [
        ("do: [{a: {set: {n: '${ .a.b }'}}}]", "expression", 400),
        ("do: [{a: {set: {n: 1}, input: {schema: {document: {type: string}}}}}]", "validation", 400),
        ("use: {secrets: [s]}\ndo: [{a: {set: {n: '${ $secrets.other }'}}}]", "authorization", 403),
        ("do: [{a: {wait: PT1M, timeout: {after: PT1S}}}]", "timeout", 408),
        ("do: [{a: {call: work}}]", "communication", 503),
        ("input: {schema: {document: {required: [id]}}}\ndo: [{a: {set: {n: 1}}}]", "validation", 400),
    ],
)
def test_standard_errors_have_the_types_of_the_specification(text, name, status):
    played = run(text, {"a": 1})
    if played.open:
        played.fail("a")
    played.wait(2)

    assert played.status == "faulted"
    assert played.problem.type == f"https://serverlessworkflow.io/spec/1.0.0/errors/{name}"
    assert played.problem.status == status
    assert played.problem.title


@pytest.mark.parametrize("spelling", ["spec/1.0.0/errors", "dsl/errors/types"])
def test_a_filter_takes_both_spellings_of_a_standard_type(spelling):
    text = (
        "do: [{x: {try: [{y: {set: {n: '${ .a.b }'}}}], catch: {errors: {with: {type: "
        f"'https://serverlessworkflow.io/{spelling}/expression'}}}}, do: [{{z: {{set: {{caught: true}}}}}}]}}}}}}]"
    )

    assert run(text, {"a": 1}).output == {"caught": True}


def test_workflow_input_that_its_schema_refuses_can_be_retried_with_another():
    played = run("input: {schema: {document: {required: [id]}}}\ndo: [{a: {set: {n: '${ .id }'}}}]", {"a": 1})
    assert played.phases[-1].status == "faulted"

    played.retry("beginning", input={"id": 2})

    assert played.output == {"n": 2}
