"""`expression EXPR JSON`, also `debug expression`."""

import pytest

from tests.cli.conftest import Lemline
from workflows.cli.exits import Exit


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ((".a + 1", '{"a": 1}'), 2),
        (("${ .a }", '{"a": [1, {"b": null}]}'), [1, {"b": None}]),
        (("$context.x", "null", "--arg", 'context={"x": 3}'), 3),
        (("$n * 2", "null", "--arg", "$n=4"), 8),
        ((". == null",), True),
        (("now | type",), "number"),
    ],
)
def test_an_expression_gives_what_a_workflow_would_get(lemline: Lemline, arguments: tuple[str, ...], result: object):
    plain, debug = lemline("expression", *arguments), lemline("debug", "expression", *arguments)

    assert (plain.code, plain.json) == (Exit.OK, result)
    assert debug.out == plain.out


def test_the_value_may_come_from_stdin(lemline: Lemline):
    assert lemline("expression", ".[0]", "-", stdin="[7]").json == 7


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((".a |",), Exit.VALIDATION, "is not jq"),
        (("bogus",), Exit.VALIDATION, "jq has no function bogus"),
        ((".a == 'x'",), Exit.VALIDATION, "double quotes"),
        ((".a", "{x"), Exit.VALIDATION, "the value is not JSON"),
        ((".a", "{}", "--arg", "context"), Exit.USAGE, "write name=JSON"),
        ((".a", "{}", "--arg", "context=x"), Exit.VALIDATION, "$context is not JSON"),
        ((".a + 1", '{"a": "x"}'), Exit.EXECUTION, "cannot be added"),
        (('error("stop")',), Exit.EXECUTION, "stop"),
        (("[limit(3; repeat(1))] | until(false; .)",), Exit.EXECUTION, ""),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_expression_that_fails_says_why(lemline: Lemline, arguments: tuple[str, ...], code: Exit, said: str):
    done = lemline("expression", *arguments)

    assert done.code is code
    assert said in done.err
    assert done.out == ""


def test_the_environment_is_out_of_reach(lemline: Lemline):
    assert lemline("expression", "[env, $ENV]").out.replace("\n", "").replace(" ", "") == "[{},{}]"


def test_an_expression_that_may_not_end_runs_in_a_helper_as_it_would_in_a_worker(lemline: Lemline):
    done = lemline("expression", "[range(2000)] | length", "null")

    assert (done.code, done.json) == (Exit.OK, 2000)
