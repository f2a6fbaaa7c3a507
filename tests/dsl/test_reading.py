"""What the reader makes of a text: YAML 1.2, expressions in data, numbers as spelled, other spellings."""

from datetime import timedelta
from decimal import Decimal

import pytest

from workflows.dsl import Definition, DefinitionError, parse
from workflows.dsl.duration import parse_duration
from workflows.dsl.expression import Expression, Interpolation, Literal

HEAD = "document: {dsl: 1.0.3, namespace: t, name: n, version: 1.0.0}\n"


def value_of(text: str):
    """Return the template of a value in `set`, given as YAML."""
    [task] = parse(HEAD + f"do:\n  - a:\n      set:\n        x: {text}\n").do
    [(_, template)] = task.value.members if hasattr(task.value, "members") else [("x", Literal(task.value.value["x"]))]
    return template


def warned(body: str) -> list[tuple[str, str]]:
    return [(warning.pointer, warning.message) for warning in parse(HEAD + body).warnings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2026-01-31", "2026-01-31"),
        ("12:30:00", "12:30:00"),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1.10", Decimal("1.10")),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("true", True),
        ("~", None),
    ],
)
def test_rule_40_yaml_is_read_as_version_1_2(text: str, value: object):
    template = value_of(text)

    assert template == Literal(value)
    assert type(template.value) is type(value)


@pytest.mark.parametrize(
    ("text", "jq"),
    [
        ("'${ .a }'", ".a"),
        ("'${.a}'", ".a"),
        ("'${ {a: {b: 1}} }'", "{a: {b: 1}}"),
        ("'${ \"a } b\" }'", '"a } b"'),
        ('\'${ "\\("}")" }\'', '"\\("}")"'),
        ("'${ [1, 2] }'", "[1, 2]"),
    ],
)
def test_rule_1_a_text_that_is_an_expression_as_a_whole_ends_where_jq_says(text: str, jq: str):
    template = value_of(text)

    assert isinstance(template, Expression)
    assert template.text.strip() == jq


def test_rule_1_expressions_inside_of_a_text_are_put_into_it():
    template = value_of("'Hello ${ .name }, you are ${ .age }'")

    assert isinstance(template, Interpolation)
    assert [part if isinstance(part, str) else part.text.strip() for part in template.parts] == [
        "Hello ", ".name", ", you are ", ".age",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["'${HOME}/bin'", "'$HOME'", "'costs $5 {really}'"])
def test_rule_1_what_a_shell_would_expand_stays_text(text: str):
    assert value_of(text) == Literal(text.strip("'"))


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("PT30S", timedelta(seconds=30)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ({"minutes": 1, "seconds": 30}, timedelta(seconds=90)),
        ({"milliseconds": 250}, timedelta(milliseconds=250)),
    ],
)
def test_durations_are_iso_8601_or_named_parts(text: object, span: timedelta):
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["soon", "PT", "P", "30", "PT5X", {"minuets": 1}, {}, 5, None, "P1Y"])
def test_what_is_no_duration_is_a_mistake(text: object):
    with pytest.raises((ValueError, TypeError)):
        parse_duration(text)


DIALECT = [
    ("do:\n  - a: {callHTTP: {method: GET, url: 'http://x'}}\n", "/do/0/a/callHTTP", "call: http"),
    ("do:\n  - a: {for: {iterator: .x, as: i}, do: []}\n", "/do/0/a/for/iterator", "for.in"),
    ("do:\n  - a: {for: {in: .x, as: i}, do: []}\n", "/do/0/a/for/as", "for.each"),
    ("do:\n  - a: {for: {in: .x, do: []}}\n", "/do/0/a/for/do", "beside `for`"),
    ("do:\n  - a: null\n", "/do/0/a", "does nothing"),
]


@pytest.mark.parametrize(("body", "pointer", "official"), DIALECT)
def test_another_spelling_is_read_with_a_warning_that_says_the_official_one(body: str, pointer: str, official: str):
    warnings = warned(body)

    assert any(where == pointer and official in message for where, message in warnings), warnings


@pytest.mark.parametrize("body", [body for body, _, _ in DIALECT])
def test_strict_reading_refuses_other_spellings(body: str):
    with pytest.raises(DefinitionError):
        parse(HEAD + body, strict=True)


LENIENT = [
    "do:\n  - a: {run: {shell: {command: ls, arguments: {a: b}}}}\n",
    "do:\n  - a: {call: http, with: {method: get, endpoint: http://x, query: {n: 1}, headers: {X-N: 2}}}\n",
]


@pytest.mark.parametrize("body", LENIENT)
def test_rule_41_what_only_the_schema_forbids_is_read(body: str):
    assert isinstance(parse(HEAD + body), Definition)


def test_rule_41_any_dsl_1_is_read():
    definition = parse("document: {dsl: 1.7.0, namespace: t, name: n, version: 1.0.0}\ndo: [{a: {set: {x: 1}}}]\n")

    assert definition.document.dsl == "1.7.0"


def test_what_cannot_run_yet_is_read_with_a_warning():
    body = "do:\n  - hear: {run: {container: {image: x}}}\n"

    [(pointer, message)] = warned(body)

    assert pointer == "/do/0/hear"
    assert "cannot be run yet" in message


def test_the_source_stays_as_it_was_written():
    definition = parse(HEAD + "do:\n  - a: {set: {z: 1, a: 2}}\n")

    [item] = definition.source["do"]
    assert list(item["a"]["set"]) == ["z", "a"]


SEED_BATCH = """
do:
  - processBatch:
      for:
        iterator: "${ .items | _chunk(2) }"
        as: "batch"
        parallel: true
        maxConcurrency: 10
        do:
          - processBatch:
              callHTTP: {url: "https://api.example.com/batch-process", method: "POST", body: "${ .batch }"}
"""


def test_where_the_item_is_looked_for_in_the_input_it_is_there_and_the_warning_says_its_name():
    assert ("/do/0/processBatch/for/as", "the item is read as $batch, not as .batch") in warned(SEED_BATCH)
