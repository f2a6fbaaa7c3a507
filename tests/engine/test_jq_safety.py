"""Expressions reach nothing but the values they are given."""

import os
import subprocess
import sys

import pytest

from tests.builders import START, define, run
from workflows.dsl import DefinitionError
from workflows.dsl.expression import Expression, ExpressionSyntaxError, check
from workflows.engine import expressions


def evaluate(program: str, value: object = None, **variables: object) -> object:
    return expressions.evaluate(Expression(program), value, variables)


def problem_of(program: str, value: object = None) -> str:
    with pytest.raises(expressions.ProblemError) as caught:
        evaluate(program, value)
    assert caught.value.problem.detail is not None
    return caught.value.problem.detail


@pytest.mark.parametrize(
    "program", ["env", "$ENV", "env | keys", "$ENV.PATH", "{$ENV}.ENV", "env.HOME", '"\\(env)\\($ENV)"']
)
def test_the_environment_is_out_of_reach(program, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_PROCESS", "sesame")

    assert evaluate(program) in ({}, [], None, "{}{}")


@pytest.mark.parametrize(
    "program", ["input", "halt", "halt_error", 'halt_error("x")', "modulemeta", "input_line_number | error"]
)
def test_what_ends_the_program_or_reads_on_is_a_problem(program):
    assert problem_of(program)


@pytest.mark.parametrize(
    ("program", "result"),
    [
        ("[inputs]", []),
        ("debug", 3),
        ('debug("x")', 3),
        ("stderr", 3),
        ("input_filename", None),
        ("get_search_list?", None),
    ],
)
def test_what_would_print_or_name_files_does_nothing(program, result):
    if program == "get_search_list?":
        assert expressions.growth(program) is None
        return
    assert evaluate(program, 3) == result


@pytest.mark.parametrize(
    "program",
    [
        'import "m" as m; .',
        'import "f" as $f; $f',
        'include "m"; .',
        'import "f" as $f {search: "/etc"}; .',
        "module {}; .",
    ],
)
def test_modules_and_files_are_refused(program):
    with pytest.raises(ExpressionSyntaxError):
        check(Expression(program))


@pytest.mark.parametrize(
    "program",
    [
        "1) | (2",
        "1) | def tojson: 1; (2",
        "1) as $x | ($x",
        "1) # \\",
        "1) # a comment",
        "1) # \0",
        "1 \0",
        "]",
        '"a") | ("b',
    ],
)
def test_no_program_gets_out_of_its_brackets(program):
    with pytest.raises(ExpressionSyntaxError):
        check(Expression(program))
    assert problem_of(program)


@pytest.mark.parametrize(
    "program", ["1 # \\", "1 # a comment", "1 # one \\\\", "1 # one \\\\\\", "1 # \\\n) | (", "1 #"]
)
def test_a_program_may_end_in_a_comment(program):
    check(Expression(program))

    assert evaluate(program) == 1


@pytest.mark.parametrize("program", ["$__now", "$__prog_args", "$all", "$t", "$n", "$nobody"])
def test_variables_of_the_wrapper_are_not_the_authors(program):
    assert "not defined" in problem_of(program)


def test_now_is_the_steps_time_in_every_tier():
    assert run("do: [{a: {set: {at: '${ now }'}}}]").output == {"at": int(START.timestamp())}


def test_times_do_not_depend_on_the_time_zone_of_the_process():
    program = (
        "from workflows.dsl.expression import Expression; from workflows.engine import expressions;"
        "print(expressions.evaluate(Expression('0 | todate'), None, {}),"
        "expressions.evaluate(Expression('\"2026-01-01T00:00:00Z\" | fromdate'), None, {}))"
    )
    environment = {**os.environ, "TZ": "Pacific/Auckland"}

    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert said.stdout == "1970-01-01T00:00:00Z 1767225600\n"


def test_a_text_in_single_quotes_is_refused_with_a_hint():
    with pytest.raises(DefinitionError) as caught:
        define("do: [{a: {if: \".a == 'b'\", set: 1}}]")

    assert "double quotes" in str(caught.value)


@pytest.mark.parametrize(
    "program", ['["a"] | implode', "1e300 | todate", "[nan] | implode", '"x" | fromjson', "{} | add | keys"]
)
def test_values_that_a_function_cannot_take_are_a_problem_and_no_crash(program):
    assert problem_of(program)
