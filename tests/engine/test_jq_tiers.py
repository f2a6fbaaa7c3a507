"""Which tier evaluates what, and that it makes no difference to the result."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.engine.generated_jq import documents, programs
from workflows.dsl.expression import Expression
from workflows.dsl.jq_programs import compiled, free_variables
from workflows.dsl.jsontext import decode, encode
from workflows.engine import expressions
from workflows.engine.jq_bounds import growth
from workflows.engine.jq_python import translate
from workflows.engine.jq_values import Fallback


def ask_jq(program: str, value: Any, variables: dict[str, Any]) -> Any:
    given = encode({"t": 0, "v": value, "n": variables}).decode()
    return decode(next(iter(compiled(program, free_variables(program)).input_text(given))))


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), documents(), documents())
def test_what_python_says_of_a_program_is_what_jq_says(program, value, other):
    evaluate = translate(program)
    if evaluate is None:
        return
    try:
        said = evaluate(value, {"x": other, "y": value})
    except Fallback:
        return

    assert encode(said) == encode(ask_jq(program, value, {"x": other, "y": value}))


@pytest.mark.parametrize(
    ("program", "value", "result"),
    [
        ("[.a | .b, .c]", {"a": {"b": 1, "c": 2}, "c": 3}, [1, 2]),
        ("[1, 2 | . + 1]", None, [2, 3]),
        ("1 # a comment goes on \\\n + 1", None, 1),
        ("1 # unless the backslash is one itself \\\\\n + 1", None, 2),
        (".a == 01", {"a": 1}, True),
        (".a < 1.e1", {"a": 1}, True),
        ("{a: 1, a: 2}", None, {"a": 2}),
        (".a.b // .c // 3", {"a": None, "c": False}, 3),
        (".[-1].a", [{"a": 1}, {"a": 2}], 2),
        ("{if, and: .b}", {"if": 1, "b": 2}, {"if": 1, "and": 2}),
    ],
)
def test_programs_mean_what_jq_means_by_them(program, value, result):
    assert expressions.evaluate(Expression(program), value, {}) == result
    assert ask_jq(program, value, {}) == result


@pytest.mark.parametrize(
    "program",
    [
        ".",
        ".a.b[0]",
        "$context.x",
        '"text"',
        "3",
        ".a == 1 and .b != null",
        "{a: .x, b: [.y, $z]}",
        ".n + 1 < 400",
        "if .a then 1 else 2 end",
        '.name // "nobody"',
        "(.a | length) > 2",
    ],
)
def test_paths_literals_comparisons_and_constructions_are_evaluated_in_python(program):
    assert translate(program) is not None


@pytest.mark.parametrize(
    "program",
    [
        "map(.x)",
        "[.items[] | select(.price > 10) | {name, price}]",
        '.a | split(",")',
        "to_entries | map(.key)",
        '"Hello \\(.name)"',
        "(.n? // 0) + 1",
        "[.a[] as $x | $x + $y]",
        '.a | ascii_downcase | ltrimstr("x")',
        ".price * 100",
        "del(.secret)",
        "if any(.[]; . > 3) then {range: 1} else {limit} end",
        "@base64",
        "now | todate",
    ],
)
def test_programs_whose_work_has_a_bound_run_in_this_process_while_the_input_is_small(program):
    bound = growth(program)

    assert translate(program) is None
    assert bound is not None
    assert bound.fits(150)
    assert not bound.fits(1_000_000)


def test_numbers_that_jq_rounds_are_left_to_jq():
    large = 2**53 + 1

    assert expressions.evaluate(Expression(". == $x"), large, {"x": large}) is True
    assert expressions.evaluate(Expression(". + 1"), large, {}) == 2**53
    assert expressions.evaluate(Expression("."), 10**40 + 1, {}) == 10**40 + 1


def test_a_program_that_python_gives_up_is_evaluated_by_jq_with_its_errors():
    with pytest.raises(expressions.ProblemError) as caught:
        expressions.evaluate(Expression(".a.b"), {"a": 3}, {})

    assert caught.value.problem.detail == '.a.b: Cannot index number with string ("b")'


@pytest.mark.parametrize("levels", [50, 3000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("[", "]"), ("if ", " then 1 else 2 end"), ('"\\(', ')"')]
)
def test_a_program_nested_deeply_is_evaluated_or_is_a_problem_and_no_crash(opening, closing, levels):
    program = Expression(opening * levels + "1" + closing * levels)

    try:
        result = expressions.evaluate(program, None, {})
    except expressions.ProblemError as error:
        result = error.problem.title

    assert result


def test_a_long_pipe_is_evaluated():
    assert expressions.evaluate(Expression("|".join([".a?"] * 1000)), {}, {}) is None
    assert expressions.evaluate(Expression("|".join([".a"] * 1500)), {}, {}) is None


def test_what_shares_its_parts_in_memory_but_would_be_written_out_is_not_put_together():
    doubling = Expression(" | ".join(["[., .]"] * 30))

    with pytest.raises(expressions.ProblemError):
        expressions.evaluate(doubling, "text", {})
    with pytest.raises(expressions.ProblemError):
        expressions.evaluate(Expression(" | ".join([". + ."] * 40)), "text", {})


def test_many_members_of_a_small_document_are_evaluated_in_python():
    program = "{" + ", ".join(f"m{number}: .a" for number in range(100)) + "}"
    evaluate = translate(program)

    assert evaluate is not None
    assert len(evaluate({"a": "x" * 100}, {})) == 100
    with pytest.raises(Fallback):
        evaluate({"a": "x" * 20_000}, {})
