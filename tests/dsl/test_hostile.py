"""Whatever a text holds, the reader answers with a definition or with its mistakes, and soon."""

import random
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.spec import files, needs_spec
from workflows.dsl import Definition, DefinitionError, parse
from workflows.dsl.jsontext import decode, encode

HEAD = "document: {dsl: 1.0.3, namespace: t, name: n, version: 1.0.0}\n"
DOCUMENT = {"dsl": "1.0.3", "namespace": "t", "name": "n", "version": "1.0.0"}

WORDS = re.findall(
    r"\w+",
    "document use do set call with for in each try catch retry errors raise error fork branches listen to any until"
    " emit event run script switch when then wait input output as from schema authentications extensions functions"
    " timeouts secrets basic endpoint uri callHTTP foreach timeout after limit backoff schedule on if",
)


def outcome(text: str | bytes, **how: Any) -> Definition | DefinitionError | None:
    """Return what reading gives; None when a mistake lacks its place."""
    try:
        return parse(text, **how)
    except DefinitionError as error:
        return error if all(each.line and each.column and each.message for each in error.errors) else None


def values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.sampled_from([*WORDS, "${ .x }", "${", "PT5S", "http://x", "http", "${ $secrets.a }"]),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=20,
    )


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_definition_or_a_list_of_mistakes(text: bytes):
    assert isinstance(outcome(text), DefinitionError)


@given(st.text(alphabet="[]{}:-,\"'#&*!|>%@`?<~\\\n\t ab01${}.()", max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_definition_or_a_list_of_mistakes(text: str):
    assert isinstance(outcome(text), DefinitionError)
    assert isinstance(outcome(HEAD + "do:\n- a:\n    set:\n      x: " + text), Definition | DefinitionError)


@given(values(), values(), values(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_structure_is_a_definition_or_a_list_of_mistakes(use: Any, task: Any, top: Any, strict: bool):
    tasks = [{"a": task}, {"b": {"try": task, "catch": top}}, {"c": {"call": "http", "with": task}}]

    found = outcome(encode({"document": DOCUMENT, "use": use, "do": tasks, "input": top}), strict=strict)

    assert isinstance(found, Definition | DefinitionError)


@needs_spec
def test_examples_with_bytes_damaged_are_definitions_or_lists_of_mistakes():
    chance = random.Random(40)

    for path in files("examples"):
        text = bytearray(path.read_bytes())
        for _ in range(4):
            text[chance.randrange(len(text))] = chance.choice(b"\x00\xff{}[]:-'\"&*!$ \n")
            assert isinstance(outcome(bytes(text)), Definition | DefinitionError)


@given(st.dictionaries(st.text(max_size=5), values(), max_size=3))
@settings(max_examples=300, deadline=None)
def test_json_is_read_as_json(value: dict[str, Any]):
    text = encode({"document": DOCUMENT, "do": [], "metadata": value})

    assert parse(text).source == decode(text)


MEBIBYTE = 1024 * 1024 - 1000


def filled(piece: str, head: str = HEAD + "do: [{a: {if: '", tail: str = "', set: {x: 1}}}]") -> str:
    return head + piece * (MEBIBYTE // len(piece)) + tail


BIG = {
    "brackets": "[" * MEBIBYTE,
    "braces": "{a: " * (MEBIBYTE // 4),
    "documents": "---\n" * (MEBIBYTE // 4),
    "numbers": filled("1,", HEAD + "metadata: {a: [", "]}"),
    "the same key": filled("  k: 1\n", HEAD + "metadata:\n", ""),
    "the same anchor": filled("- &a b\n", HEAD + "do:\n", ""),
    "unknown members": HEAD + "".join(f"u{n}: 1\n" for n in range(60_000)),
    "unknown tasks": HEAD + "do:\n" + "".join(f"- t{n}: {{sett: 1}}\n" for n in range(30_000)),
    "tasks of one name": HEAD + "do:\n" + "- t: {do: []}\n" * 60_000,
    "names that point nowhere": HEAD + "do:\n" + "".join(f"- t{n}: {{do: [], then: u{n}}}\n" for n in range(25_000)),
    "a long name above many values": HEAD + f"metadata:\n  ? {'n' * 500_000}\n  : [{'[],' * 100_000}]\n",
    "long names above many values": HEAD + "metadata:\n  " + "".join("{" + "n" * 900 + ": " for _ in range(190)),
    "deep texts in texts": filled('"\\('),
    "brackets of jq": filled("("),
    "commas of jq": filled(".,"),
    "expressions never closed": filled("${ "),
    "bad expressions": HEAD + "do:\n" + "".join(f'- t{n}: {{if: "{n} +", do: []}}\n' for n in range(20_000)),
    "loose texts": HEAD
    + "evaluate: {mode: loose}\ndo: [{a: {set: {x: ["
    + "".join(f"1 + {n} +, " for n in range(60_000)),
    "digits": filled("9", HEAD + "metadata: {a: ", "}"),
    "method": filled("get", HEAD + "do: [{a: {call: http, with: {endpoint: http://x, method: ", "}}}]"),
}


@pytest.mark.parametrize("name", BIG)
@pytest.mark.timeout(30)
def test_a_mebibyte_of_anything_is_refused_briefly(name: str):
    refused = outcome(BIG[name])

    assert isinstance(refused, DefinitionError)
    assert len(refused.errors) <= 101
    assert len(str(refused)) < 200_000


def test_reading_stops_after_a_hundred_mistakes_and_says_so():
    text = HEAD + "do:\n" + "".join(f"- t{n}: {{sett: 1}}\n" for n in range(500))

    refused = outcome(text)

    assert isinstance(refused, DefinitionError)
    assert len(refused.errors) == 101
    assert refused.errors[-1].message == "there may be more: reading stopped after 100 mistakes"


def test_more_texts_than_loose_mode_tries_are_a_mistake():
    text = HEAD + "evaluate: {mode: loose}\ndo: [{a: {set: {x: [" + ", ".join(f"w{n}" for n in range(1100)) + "]}}}]"

    refused = outcome(text)

    assert isinstance(refused, DefinitionError)
    assert [(each.pointer, "more than 1000" in each.message) for each in refused.errors] == [("/evaluate/mode", True)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: 1e99999999999999999999", "is out of range"),
        (f"x: {'9' * 5000}", "too many digits"),
        ("x: .inf", "is no JSON number"),
        ("<<: {a: 1}", "merge keys"),
        ("x: !!int abc", "not what the tag !!int says"),
        ("x: !!timestamp 2001-01-01", "!!timestamp means nothing"),
        ("x: *nothing", "refers to nothing"),
        ("? [a]\n: b", "a key is a text"),
    ],
)
def test_rule_40_what_is_no_json_is_refused(text: str, message: str):
    refused = outcome(HEAD + "do: []\nmetadata:\n  " + text.replace("\n", "\n  "))

    assert isinstance(refused, DefinitionError)
    assert [message in each.message for each in refused.errors] == [True]
    assert refused.errors[0].line == 4


def test_half_of_a_surrogate_pair_is_refused_and_a_whole_one_in_json_is_the_character():
    escaped = r"""{"do": [], "metadata": {"x": "\ud83d\ude00"}, "document":
        {"dsl": "1.0.3", "namespace": "t", "name": "n", "version": "1.0.0"}}"""

    refused = outcome(HEAD + "do: []\nmetadata: {x: '\ud800'}")

    assert isinstance(refused, DefinitionError)
    assert refused.errors[0].line == 3
    assert parse(escaped).source["metadata"] == {"x": "\U0001f600"}


def test_policies_that_name_each_other_are_refused():
    refused = outcome(HEAD + "use: {authentications: {a: {use: b}, b: {use: a}}}\ndo: []\n")

    assert isinstance(refused, DefinitionError)
    assert {each.pointer for each in refused.errors} >= {"/use/authentications/a/use", "/use/authentications/b/use"}


@pytest.mark.parametrize("name", ['"a\\0b"', "n" * 999], ids=["NUL", "too long"])
def test_a_task_name_that_no_row_could_hold_is_refused(name: str):
    refused = outcome(HEAD + f"do: [{{{name}: {{do: []}}}}]")

    assert isinstance(refused, DefinitionError)
    assert re.search("NUL|more than 1000", refused.errors[0].message)


def test_an_expression_cannot_leave_its_brackets_by_way_of_another():
    refused = outcome(
        HEAD + "do:\n- a: {if: '1) | (2', do: []}\n- b: {if: '. #\\', do: []}\n- c: {if: '+ 2', do: []}\n"
    )

    assert isinstance(refused, DefinitionError)
    assert [each.pointer for each in refused.errors] == ["/do/0/a/if", "/do/2/c/if"]


def test_yaml_that_a_library_writes_is_read():
    value = {"document": DOCUMENT, "do": [{"a": {"do": []}}]}

    assert parse(yaml.safe_dump(value)).source == value
