"""Which events a filter matches, and by which of their values an index finds it."""

from typing import Any

import pytest

from tests.builders import define
from workflows.dsl.model import ListenTask
from workflows.engine import expressions, strategies
from workflows.engine.correlation import Interest, Pattern, interest_of, key_of, matches

EVENT = {
    "specversion": "1.0", "id": "1", "source": "https://shop.example/orders?shop=1", "type": "com.example.placed",
    "subject": "order 7", "priority": 5, "express": True, "data": {"id": 7, "total": 1.50, "to": {"b": 1, "a": 2}},
}  # fmt: skip


def pattern(text: str, input: Any = None, **variables: Any) -> Pattern:
    """Return the only filter of a `listen`, given as `with: ..., correlate: ...`."""
    task = define(f"do: [{{hear: {{listen: {{to: {{one: {{{text}}}}}}}}}}}]").do.tasks[0]
    assert isinstance(task, ListenTask)
    wanted = strategies.wanted_of(task.to, lambda each: expressions.render(each, input, variables))
    return wanted.patterns[0]


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        ("type: com.example.placed", True),
        ("type: com-example-placed", False),
        ("type: comXexample.placed", False),
        (r"type: 'com\..*'", True),
        (r"type: 'com\.example'", False),
        (r"type: 'com\.(example|test)\.placed'", True),
        ("source: 'https://shop.example/orders?shop=1'", True),
        ("source: 'https://shop.example/orders?shop=2'", False),
        ("source: 'https://shop.example/(orders?shop=1'", False),
        ("subject: 'order [0-9]+'", True),
        ("subject: order", False),
        ("priority: 5", True),
        ("priority: '5'", True),
        ("priority: 5.0", True),
        ("priority: '${ . > 4 }'", True),
        ("priority: '${ . > 5 }'", False),
        ("priority: '${ 2 + 3 }'", True),
        ("express: true", True),
        ("express: '${ . }'", True),
        ("express: '${ not }'", False),
        ("missing: '.*'", False),
        ("missing: '${ . == null }'", True),
        ("missing: '${ . }'", False),
        ("subject: '${ $kind } 7'", True),
        ("subject: 'order ${ $number }'", True),
        ("subject: 'order ${ 3 + 4 }'", True),
        ("subject: '${ $kind | . + \" 7\" }'", True),
        ("subject: '${ $kind }'", False),
        ("data: {id: 7, total: 1.5, to: {a: 2, b: 1}}", True),
        ("data: {id: 7}", False),
        ("data: '${ .total < 2 and .id == $number }'", True),
        ("data: {id: '${ .id }', total: 1.5, to: '${ .to }'}", True),
        ("type: com.example.placed, subject: nothing", False),
    ],
)
def test_a_filter_compares_asks_or_looks_for_a_likeness_of_the_whole(wanted, is_wanted):
    # `$kind` and `$number` are bound by loops around it.
    text = f"""
        do:
          - each:
              for: {{in: '[1]', each: kind, at: number}}
              do: [{{hear: {{listen: {{to: {{one: {{with: {{{wanted}}}}}}}}}}}}}]
    """
    task = next(task for task in define(text).tasks.values() if isinstance(task, ListenTask))
    variables = {"kind": "order", "number": 7}
    [found] = strategies.wanted_of(task.to, lambda each: expressions.render(each, None, variables)).patterns

    assert (matches(found, EVENT, {}, variables) is not None) == is_wanted

    interest, key = interest_of(found, {})
    assert not is_wanted or key_of(interest, EVENT) == key


@pytest.mark.parametrize(
    ("wanted", "interest"),
    [
        ("with: {type: a.b}", Interest("a.b")),
        ("with: {type: a.b, source: /s, subject: x, id: y}", Interest("a.b", "/s", ("id", "subject"))),
        ("with: {type: 'a\\..*'}", Interest()),
        ("with: {type: '${ . == \"a\" }', subject: x}", Interest("", "", ("subject",))),
        ("with: {type: a}, correlate: {o: {from: .data.id}}", Interest("a")),
        ("with: {type: a}, correlate: {o: {from: .data.id, expect: 7}}", Interest("a", "", (), (".data.id",))),
        ("with: {type: a}, correlate: {o: {from: '.id + $runtime.name', expect: 7}}", Interest("a")),
    ],
)
def test_the_index_asks_for_what_must_be_equal_and_for_nothing_else(wanted, interest):
    assert interest_of(pattern(wanted), {})[0] == interest


def test_a_value_that_the_first_event_has_bound_is_asked_for_from_then_on():
    found = pattern("with: {type: a}, correlate: {order: {from: .data.id}}")
    assert interest_of(found, {}) == (Interest("a"), "")

    interest, key = interest_of(found, {"order": 7})

    assert interest.froms == (".data.id",)
    assert key_of(interest, {"type": "a", "data": {"id": 7.0}}) == key
    assert key_of(interest, {"type": "a", "data": {"id": "7"}}) != key
    assert key_of(interest, {"type": "a", "data": {}}) is None
    assert key_of(interest, {"type": "a", "data": "seven"}) is None
    assert key_of(interest, {"type": "b", "data": {"id": 7}}) is None


def test_what_is_expected_is_evaluated_when_the_subscription_opens():
    found = pattern("with: {type: com.example.placed}, correlate: {o: {from: .data.id, expect: '${ .n }'}}", {"n": 7})

    assert matches(found, EVENT, {}) == {}
    assert matches(found, {**EVENT, "data": {"id": 8}}, {}) is None


def test_null_correlates_with_nothing():
    found = pattern("with: {type: com.example.placed}, correlate: {o: {from: .data.nothing}}")

    assert matches(found, EVENT, {}) is None
    assert matches(found, EVENT, {"o": None}) is None


def test_a_filter_that_fails_on_an_event_does_not_match_and_says_why():
    found = pattern("with: {type: com.example.placed, data: '${ .id | ascii_downcase }'}")
    complaints: list[str] = []

    assert matches(found, EVENT, {}, complain=complaints.append) is None

    assert len(complaints) == 1
    assert "ascii_downcase" in complaints[0]


def test_a_regular_expression_that_others_would_take_for_ever_over_is_answered_at_once():
    found = pattern("with: {type: '(a+)+b'}")

    assert matches(found, {**EVENT, "type": "a" * 50_000}, {}) is None


def test_numbers_too_long_to_write_out_can_be_compared():
    found = pattern("with: {type: a}, correlate: {o: {from: .data}}")

    assert matches(found, {"type": "a", "data": 10**5000}, {"o": 10**5000}) is not None
    assert matches(found, {"type": "a", "data": 10**5000 + 1}, {"o": 10**5000}) is None
