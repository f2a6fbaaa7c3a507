"""What expressions and templates give. Rules 1 to 9 and 52."""

import re

import pytest

from tests.builders import Instance, run
from workflows.engine import Data


def kind_of(played: Instance) -> str:
    return played.problem.type.rsplit("/", 1)[1]


def made(text: str, input: object = None) -> object:
    """Return what a text in `set` becomes."""
    return run(f"do: [{{task: {{set: {{it: {text}}}}}}}]", input).output["it"]


RAISE = "{raise: {error: {type: 'https://a.example/b', status: 400}}}"
CAUGHT = f"try: [{{fail: {RAISE}}}], catch: {{when: 'MARKED(.status == 400)', do: [{{two: {{set: {{n: 2}}}}}}]}}"


@pytest.mark.parametrize(
    "task",
    [
        "if: 'MARKED(.n == 1)', set: {n: 2}",
        "switch: [{yes: {when: 'MARKED(.n == 1)', then: last}}]",
        "for: {in: 'MARKED([1])'}, while: 'MARKED(.n == 1)', do: [{two: {set: {n: 2}}}]",
        "input: {from: 'MARKED({m: .n})'}, set: {n: '${ .m + 1 }'}",
        "set: {n: 1}, output: {as: 'MARKED({n: (.n + 1)})'}",
        "set: {n: 1}, export: {as: 'MARKED({n: 2})'}, output: {as: {n: 2}}",
        CAUGHT,
    ],
)
@pytest.mark.parametrize("marks", ["_", "${ _ }", "  ${_}  "])
def test_fields_that_are_expressions_hold_jq_with_or_without_marks(task, marks):
    task = re.sub(r"MARKED\((.*?)\)'", lambda found: marks.replace("_", found[1]) + "'", task)

    played = run(
        f"do: [{{first: {{{task}}}}}, {{then: {{if: .n == 1, set: {{n: 3}}}}}}, {{last: {{set: '${{ . }}'}}}}]",
        {"n": 1},
    )

    assert played.output == ({"n": 1} if "switch" in task else {"n": 2})
    assert "first" in played.history


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("'${ .a }'", {"b": 1}),
        ("'  ${ .a }  '", {"b": 1}),
        ("'a ${ .a } b'", 'a {"b":1} b'),
        ("'${ .text }-${ .n }'", "words-1"),
        ("'${.n}${.n}'", "11"),
        ("'${ null } and ${ true }'", "null and true"),
        ("'echo ${HOME} $HOME ${ .n }'", "echo ${HOME} $HOME 1"),
        ("'$${ .n }'", "$1"),
        ("""'${ "}" }'""", "}"),
        ("""'${ {a: "}", b: {c: .n}} }'""", {"a": "}", "b": {"c": 1}}),
        ("""'say ${ "}\\(.n)}" } twice'""", "say }1} twice"),
        ('"${ .n # a brace } in a comment\\n }"', 1),
        ("'{}'", "{}"),
        ("'.n'", ".n"),
    ],
)
def test_in_data_a_text_is_an_expression_as_a_whole_or_holds_some(text, result):
    assert made(text, {"a": {"b": 1}, "text": "words", "n": 1}) == result


def test_expressions_stand_at_any_depth_of_data_and_keys_are_never_expressions():
    played = run("do: [{task: {set: {list: [{deep: ['${ .n }', 2]}], '${ .n }': 3}}}]", {"n": 1})

    assert played.output == {"list": [{"deep": [1, 2]}], "${ .n }": 3}


def test_of_several_results_the_first_counts():
    assert made("'${ .[] }'", [4, 5]) == 4
    assert made("'${ 1, 2 }'") == 1
    assert run("do: [{task: {if: 'true, false', set: {a: 1}}}]").output == {"a": 1}


def test_no_result_is_null_in_data():
    assert made("'${ empty }'") is None
    assert made("'${ .[] }'", []) is None
    assert run("do: [{task: {set: {a: 1}, output: {as: empty}}}]").output is None


@pytest.mark.parametrize(
    "task",
    [
        "if: empty, set: {a: 1}",
        "switch: [{case: {when: empty, then: exit}}]",
        "for: {in: '[1]'}, while: empty, do: [{a: {set: {a: 1}}}]",
        "for: {in: empty}, do: [{a: {set: {a: 1}}}]",
    ],
)
def test_no_result_is_a_problem_in_if_when_while_and_in(task):
    played = run(f"do: [{{task: {{{task}}}}}]")

    assert (kind_of(played), played.problem.status, played.problem.instance) == ("expression", 400, "/do/0/task")
    assert "there is no result" in played.problem.detail


@pytest.mark.parametrize("found", ["1", '"true"', "[]", "{}", "0"])
@pytest.mark.parametrize(
    "task",
    [
        "if: 'FOUND', set: {a: 1}",
        "switch: [{case: {when: 'FOUND', then: exit}}]",
        "for: {in: '[1]'}, while: 'FOUND', do: [{a: {set: {a: 1}}}]",
    ],
)
def test_a_condition_wants_a_boolean(task, found):
    played = run(f"do: [{{task: {{{task.replace('FOUND', found)}}}}}]")

    assert kind_of(played) == "expression"
    assert "true or false" in played.problem.detail


@pytest.mark.parametrize("task", ["if: 'null', set: {a: 1}", "switch: [{case: {when: 'null', then: exit}}]"])
def test_null_is_false_in_a_condition(task):
    played = run(f"do: [{{task: {{{task}}}}}, {{after: {{set: {{b: 1}}}}}}]", {"n": 1})

    assert played.output == {"b": 1}


def test_a_failing_expression_is_an_expression_problem_that_names_the_program():
    played = run("do: [{task: {set: {a: '${ .n.m }'}}}]", {"n": 3})

    assert (kind_of(played), played.problem.status) == ("expression", 400)
    assert played.problem.detail.startswith(".n.m: Cannot index number")


def test_an_error_that_an_author_raises_in_jq_is_its_message():
    played = run("do: [{task: {set: {a: '${ error(\"too many\") }'}}}]")

    assert played.problem.detail == 'error("too many"): too many'


@pytest.mark.parametrize("name", ["output", "item", "error", "nobody", "now2"])
def test_a_variable_that_is_not_known_here_is_an_expression_problem(name):
    played = run(f"do: [{{task: {{set: {{a: '${{ ${name} }}'}}}}}}]")

    assert played.status == "completed" if name == "output" else kind_of(played) == "expression"


def test_input_is_that_of_the_current_task_at_every_depth():
    played = run(
        """
        do:
          - outer:
              input: {from: .a}
              do:
                - inner:
                    input: {from: '{b: .}'}
                    set: {seen: '${ $input }', raw: '${ $task.input }', first: '${ $workflow.input }'}
        """,
        {"a": 1},
    )

    assert played.output == {"seen": {"b": 1}, "raw": 1, "first": {"a": 1}}


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("https://a.example/{id}", "https://a.example/7"),
        ("https://a.example/{name}/{missing}/x", "https://a.example/a%20b%2Fc%3F/x".replace("/x", "//x")),
        ("https://a.example/{pet.id}", "https://a.example/verbatim"),
        ("https://a.example/{none}-{yes}", "https://a.example/-true"),
        ("https://a.example/{price}", "https://a.example/1.10"),
        ("https://a.example/{id}/${ .id + 1 }", "https://a.example/7/8"),
        ("https://a.example/{not a name}/{}", "https://a.example/{not a name}/{}"),
    ],
)
def test_names_in_a_uri_are_expanded_over_the_top_level_of_the_tasks_input(template, uri):
    given = Data(
        text=b'{"id":7,"name":"a b/c?","pet.id":"verbatim","pet":{"id":3},"none":null,"yes":true,"price":1.10}'
    )
    played = run(f"do: [{{get: {{call: http, with: {{method: get, endpoint: '{template}'}}}}}}]", given.value)

    assert played.request("get").arguments["endpoint"] == {"uri": uri}


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_a_list_or_object_in_a_uri_is_an_expression_problem(value):
    played = run("do: [{get: {call: http, with: {method: get, endpoint: 'https://a.example/{id}'}}}]", {"id": value})

    assert kind_of(played) == "expression"
    assert "{id}" in played.problem.detail


def test_in_a_function_names_in_a_uri_are_expanded_over_the_functions_input():
    played = run(
        """
        use: {functions: {getPet: {call: http, with: {method: get, endpoint: 'https://a.example/{petId}/{id}'}}}}
        do: [{get: {call: getPet, with: {petId: '${ .id + 1 }'}}}]
        """,
        {"id": 1},
    )

    assert played.requests()[0].arguments["endpoint"] == {"uri": "https://a.example/2/"}


@pytest.mark.parametrize(
    ("task", "detail"),
    [
        ("wait: '${ .n }'", "duration"),
        ("wait: '${ .text }'", "duration"),
        ("set: {a: 1}, timeout: {after: '${ .n }'}", "duration"),
        ("raise: {error: {type: 'https://a.example/b', status: '${ .text }'}}", ""),
    ],
)
def test_a_duration_or_status_that_does_not_fit_is_an_expression_problem(task, detail):
    played = run(f"do: [{{task: {{{task}}}}}]", {"n": [1], "text": "soon"})

    assert kind_of(played) == "expression"
    assert detail in played.problem.detail


def test_in_loose_mode_a_text_that_fails_stays_text_and_marks_still_fail():
    loose = "evaluate: {mode: loose}\n"
    played = run(loose + "do: [{task: {set: {a: .n.m, b: .n, c: 'error(1)'}}}]", {"n": 1})
    failing = run(loose + "do: [{task: {set: {a: '${ .n.m }'}}}]", {"n": 1})

    assert played.output == {"a": ".n.m", "b": 1, "c": "error(1)"}
    assert kind_of(failing) == "expression"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (".", b'{"z":1,"a":123456789012345678901234567890,"p":1.10,"e":1E+2,"n":null,"t":"\\u0000"}'),
        ("{p: .p, a: .a}", b'{"p":1.10,"a":123456789012345678901234567890}'),
        ("{p: .p?, a: .a?}", b'{"p":1.10,"a":123456789012345678901234567890}'),
        ("[.[]]", b'[1,123456789012345678901234567890,1.10,1E+2,null,"\\u0000"]'),
        (". + {b: 2} | keys_unsorted", b'["z","a","p","e","n","t","b"]'),
        (".a + 1", b"123456789012345680000000000000"),
        (".p * 2", b"2.2"),
    ],
)
def test_what_an_expression_moves_stays_as_spelled_and_what_it_calculates_is_a_double(expression, text):
    given = Data(text=b'{"z":1,"a":123456789012345678901234567890,"p":1.10,"e":1E+2,"n":null,"t":"\\u0000"}')
    played = run(f"do: [{{task: {{set: '${{ {expression} }}'}}}}]", given.value)

    assert played.state.result.text == text
