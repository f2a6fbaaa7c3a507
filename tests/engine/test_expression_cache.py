"""How many compiled programs a process remembers, and for how long."""

import itertools
from collections.abc import Iterator

import pytest

from workflows.dsl.expression import Expression
from workflows.dsl.jq_programs import compiled
from workflows.engine import expressions
from workflows.engine.expressions import keep_programs

TEXT = "[.[] | select(. > 1)]"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    keep_programs(10_000, int)


def again(text: str = TEXT) -> bool:
    """Return whether what is evaluated twice was compiled once."""
    return expressions._program(text) is expressions._program(text) and compiled(text, ()) is compiled(text, ())


def test_a_program_is_compiled_once():
    keep_programs(10, int)

    assert again()


def test_nothing_is_remembered_where_that_is_switched_off():
    keep_programs(0, int)

    assert not again()
    assert expressions.evaluate(Expression(TEXT), [1, 2], {}) == [2]


def test_the_least_recently_used_go_first():
    keep_programs(2, int)
    first = compiled(".a", ())

    compiled(".b", ())
    compiled(".c", ())

    assert compiled(".a", ()) is not first


def test_after_its_time_a_program_is_compiled_again():
    ages = itertools.count()
    keep_programs(10, lambda: next(ages))

    assert expressions._program(TEXT) is not expressions._program(TEXT)
    assert compiled(TEXT, ()) is not compiled(TEXT, ())
