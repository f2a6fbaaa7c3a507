"""No program runs inside a worker that could hang it or take its memory."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.generated_jq import growing_programs
from workflows.dsl.expression import Expression, ExpressionSyntaxError, check
from workflows.dsl.jq_programs import compiled, free_variables
from workflows.dsl.jsontext import encode
from workflows.engine import expressions
from workflows.engine.jq_bounds import LOOPS_LIMIT, WORK_LIMIT, growth
from workflows.engine.jq_python import translate


@pytest.mark.parametrize(
    "program",
    [
        "def f: f; f",
        "range(1e9)",
        "[recurse]",
        "[recurse(. + 1)]",
        "[while(true; .)]",
        "[until(false; .)]",
        "[repeat(1)]",
        "[limit(1e9; repeat(1))]",
        "first(repeat(empty))",
        "[..]",
        "[.[] | combinations]",
        "reduce range(40) as $i (.; . + .)",
        "foreach .[] as $i (.; [., .])",
        "label $out | .",
        '"x" * .n',
        ".n * .text",
        '"x" * 5 * .n',
        ".[1000000000] = 1",
        ".a |= 1",
        ".a += 1",
        "setpath([1000000000]; 1)",
        "getpath([1])",
        'test("(a+)+$")',
        '[splits("(a|a)*b")]',
        'split("(a+)+$"; "g")',
        'sub("a"; "b")',
        "walk(.)",
        "tostream",
        "fromstream(tostream)",
        "[paths]",
        "input | range(9)",
        "try range(1e9) catch .",
        "{a: range(1e9)}",
        "{(range(1e9)): 1}",
        '"\\(range(1e9))"',
        ".[range(1e9)]",
        ".[repeat(1):]",
        ". as {(repeat(1)): $x} | $x",
        ". as [$a] ?// $a | .",
        "ltrimstr(range(1e9))",
        "any(range(1e9); false)",
        "1) | (range(1e9)",
    ],
)
def test_a_program_that_may_not_end_is_no_program_for_this_process(program):
    assert translate(program) is None
    assert growth(program) is None


@pytest.mark.parametrize(
    "program",
    [
        "[.[] as $x | .[] | [$x, .]]",
        "[.[] | $x]",
        "map($x)",
        "[.[] + .[]]",
        "{a: .[], b: .}",
        "[.a[] + .b]",
        '[.[] | "\\(.)\\($x)"]',
        "[if .[] | true then . else 0 end]",
        "map(if . == 0 then $x else . end)",
        "[.[.[]]]",
        "join($x)",
        "transpose",
        "contains($x)",
        ". - $x",
        "indices($x)",
        "[.[] | select($x[])]",
        "[.[] | in($x)]",
        "[{a: .[]} | {b: .a, c: $x}]",
        ". + . | . + . | . + . | . + . | . + . | . + .",
        "[., .] | [., .] | [., .] | [., .] | [., .]",
        "tojson | tojson | tojson",
        "@json | @json | @json",
    ],
)
def test_what_makes_much_more_than_its_input_runs_here_for_small_inputs_alone(program):
    bound = growth(program)

    assert bound is None or not bound.fits(100_000)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(growing_programs(), st.sampled_from([20, 100, 400]), st.data())
def test_what_fits_makes_no_more_than_was_foreseen(program, size, choices):
    shapes = [
        [0] * size,
        {"a": [0] * size, "b": "x" * size},
        '"' * size,
        [{"a": 1}] * (size // 8),
        [[1] * size, *[[]] * size],
    ]
    value, other = choices.draw(st.sampled_from(shapes)), choices.draw(st.sampled_from(shapes))
    given_ = encode({"t": 0, "v": value, "n": {"x": other}}).decode()
    bound = growth(program)
    if bound is None or not bound.fits(len(given_) + len(program)):
        return

    made = 0
    try:
        for result in compiled(program, free_variables(program)).input_text(given_):
            made += len(result)
    except ValueError:
        pass

    # A comma, a bracket or the digits of a number are not counted one by one.
    assert made <= 8 * bound.factor * (len(given_) + len(program)) ** bound.degree
    assert bound.degree > 1 or made <= 8 * WORK_LIMIT
    assert bound.degree == 1 or made <= 8 * LOOPS_LIMIT


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('"x" * 1000000000', "repeated too often"),
        ('("x" * 1000) * (1000 * 1000)', "repeated too often"),
        ('{a: ("x" + "y") * 1e9}', "repeated too often"),
        (".+" * 15_000 + ".", "over the limit"),
        ("1" + ", 1" * 4000, "over the limit"),
    ],
)
def test_a_program_that_costs_much_to_compile_alone_is_refused_at_registration(program, reason):
    with pytest.raises(ExpressionSyntaxError, match=reason):
        check(Expression(program))


def test_long_arithmetic_and_moderate_repetition_are_no_offence():
    for program in ('"-" * 20', "(.price * 1000000) * 1000", '{text: "t", number: (.a * 86400 * 1000 * 1000)}'):
        check(Expression(program))


def test_deeply_nested_texts_are_read_in_one_pass():
    program = '"\\(' * 60 + ".a" + ')"' * 60

    check(Expression(program))

    assert free_variables('"\\("\\("\\($x)")")"') == ("x",)


def test_the_most_that_may_be_put_together_here_is_left_to_jq_where_it_is_large():
    text = "x" * 10_000_000

    assert len(expressions.evaluate(Expression(". + ."), text, {})) == 20_000_000
    with pytest.raises(expressions.ProblemError):
        expressions.evaluate(Expression(". + . + . + ."), text, {})
