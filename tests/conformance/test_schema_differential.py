"""The reader against the specification's JSON Schema, over the examples and mutations of them.

What the schema refuses, strict reading refuses too. Where it refuses more, the difference has a name in `STRICTER`,
and docs/dsl.md gives its reason.
"""

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tests.spec import ROOT, SPEC, files, needs_spec
from workflows.dsl import DefinitionError, parse
from workflows.dsl.jsontext import encode
from workflows.dsl.yamltext import load

MUTATIONS = 3000

STRICTER = {
    "S1 names point somewhere": r"there is no (task|timeout|retry|error|function|authentication|catalog)",
    "S2 expressions are jq": r"is not jq|is never closed|is not closed|are not evaluated here",
    "S3 task names are unique in their list": r"in this list already",
    "S4 members are known": r"has no member",
    "S5 methods are those of HTTP": r"is no HTTP method",
    "S6 JSON Schemas are JSON Schemas": r"a JSON Schema is an object|is no JSON Schema",
    "S7 a schedule says one thing": r"a schedule says one of",
    "S8 an emitted event has source and type": r"emit.event lacks 'with'|a CloudEvent lacks",
    "S9 spans have a length that is not negative": r"not negative|differ in length|too long",
    "S10 counts are not negative": r"from [01] on",
    "S11 DSL 1.x is read": r"is not read here",
    "S12 a switch has one default": r"only one can be the default",
    "S13 there are limits": r"characters|at most|more than|NUL",
}
"""What is refused here though the schema takes it, and the messages that say so."""


def verdict(value: Any) -> list[str]:
    try:
        parse(encode(value), strict=True)
    except DefinitionError as error:
        return [issue.message for issue in error.errors]
    return []


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from places(value[key])
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value, index
            yield from places(value[index])


OTHERS: list[Any] = ["text", "${ .x }", 5, True, None, [], {}, [{}], {"x": 1}, "PT5S", "http://x"]


def mutate(value: Any, chance: random.Random) -> None:
    holder, key = chance.choice(list(places(value)))
    match chance.randrange(4):
        case 0:
            holder[key] = copy.deepcopy(chance.choice(OTHERS))
        case 1:
            del holder[key]
        case 2 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case _ if isinstance(holder, dict):
            holder["extra"] = copy.deepcopy(chance.choice(OTHERS))
        case _:
            holder.append(copy.deepcopy(holder[key]))


def mutations() -> Iterator[Any]:
    chance = random.Random(1003)
    documents = [load(path.read_text("utf-8")) for path in files("examples")]
    for _ in range(MUTATIONS):
        value = copy.deepcopy(chance.choice(documents))
        for _ in range(chance.choice([1, 1, 2])):
            mutate(value, chance)
        yield value


def named(text: str, differences: dict[str, str]) -> str | None:
    return next((name for name, pattern in differences.items() if re.search(pattern, text)), None)


HEAD = "document: {dsl: 1.0.3, namespace: t, name: n, version: 1.0.0}\n"
TASKS = "do: [{a: {set: {x: 1}}}]"
EXAMPLES = {
    "S1": HEAD + "do: [{a: {set: {x: 1}, then: nowhere}}]",
    "S2": HEAD + "do: [{a: {set: {x: '${ .a b }'}}}]",
    "S3": HEAD + "do: [{a: {set: {x: 1}}}, {a: {set: {x: 2}}}]",
    "S4": HEAD + "extra: 1\n" + TASKS,
    "S5": HEAD + "do: [{a: {call: http, with: {method: fetch, endpoint: 'http://x'}}}]",
    "S6": HEAD + "input: {schema: {document: {type: strng}}}\n" + TASKS,
    "S7": HEAD + "schedule: {every: PT1S, cron: '* * * * *'}\n" + TASKS,
    "S8": HEAD + "do: [{a: {emit: {event: {}}}}]",
    "S9": HEAD + "do: [{a: {wait: P1Y}}]",
    "S10": HEAD + "do: [{a: {try: [], catch: {retry: {limit: {attempt: {count: -1}}}}}}]",
    "S11": HEAD.replace("1.0.3", "0.9.0") + TASKS,
    "S12": HEAD + "do: [{a: {switch: [{b: {then: end}}, {c: {then: end}}]}}]",
    "S13": HEAD + f"do: [{{{'n' * 1020}: {{set: {{x: 1}}}}}}]",
}
"""A document for each difference: the schema takes it, the reader refuses it for this reason alone."""


def test_there_is_an_example_of_each_difference():
    assert list(EXAMPLES) == [name.partition(" ")[0] for name in STRICTER]


@needs_spec
@pytest.mark.parametrize("name", STRICTER)
def test_the_reader_refuses_what_the_schema_takes_for_one_named_reason(name: str):
    value = load(EXAMPLES[name.partition(" ")[0]])
    schema = jsonschema_rs.validator_for(load((SPEC / "schema" / "workflow.yaml").read_text("utf-8")))

    assert schema.is_valid(value)
    assert {named(message, STRICTER) for message in verdict(value)} == {name}


@needs_spec
def test_reader_and_schema_agree_on_mutated_examples_but_for_named_differences():
    schema = jsonschema_rs.validator_for(load((SPEC / "schema" / "workflow.yaml").read_text("utf-8")))
    unnamed = []
    agreed = 0
    for value in mutations():
        wrong, is_valid = verdict(value), schema.is_valid(value)
        if is_valid == (not wrong):
            agreed += 1
        elif wrong and not any(named(message, STRICTER) for message in wrong):
            unnamed.append(f"refused though valid: {wrong}")
        elif not wrong:
            unnamed.append(f"taken though invalid: {encode(value).decode()}")

    assert not unnamed
    assert agreed > MUTATIONS * 0.9


def test_each_difference_is_explained_in_the_documentation():
    page = (ROOT / "docs" / "dsl.md").read_text("utf-8")

    assert [name for name in STRICTER if name.partition(" ")[0] not in page] == []
