"""Which events a definition's `schedule.on` gathers for one start, in all its forms."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.builders import define
from workflows.dsl.jsontext import decode, encode
from workflows.runtime.event_strategies import OnStrategy

A, B, END = "{with: {type: a}}", "{with: {type: b}}", "{with: {type: end}}"
BY_ORDER = "correlate: {order: {from: .data.order}}"
A_OF, B_OF = f"{{with: {{type: a}}, {BY_ORDER}}}", f"{{with: {{type: b}}, {BY_ORDER}}}"


def strategy(on: str) -> OnStrategy:
    schedule = define(f"schedule: {{on: {on}}}\ndo: [{{s: {{set: {{a: 1}}}}}}]").schedule
    assert schedule is not None
    assert schedule.on is not None
    return OnStrategy(schedule.on)


def event(text: str) -> dict[str, Any]:
    """An event of this name, whose type is its first word's letters; what follows a colon is its order."""
    name, _, order = text.partition(":")
    kind = name.rstrip("0123456789")
    data = {"order": order} if order else {}
    return {"specversion": "1.0", "id": name, "source": "/s", "type": kind, "data": data}


def starts(on: str, texts: str) -> list[str]:
    """Return what one gathering after another was started with; each state goes through JSON."""
    wanted, state, found = strategy(on), None, []
    for each in map(event, texts.split()):
        heard = wanted.hear(state, each)
        if not heard.took:
            continue
        state = decode(encode(heard.state))
        if heard.done:
            found.append(" ".join(str(one["id"]) for one in wanted.events(state)))
            state = None
    return found


def test_decimals_of_an_event_are_as_they_were_sent():
    wanted = strategy(f"{{one: {A}}}")

    heard = wanted.hear(None, {**event("a1"), "data": decode('{"total": 1.10}')})

    assert encode(wanted.events(decode(encode(heard.state)))).endswith(b'"data":{"total":1.10}}]')


@pytest.mark.parametrize(
    ("on", "texts", "started"),
    [
        (f"{{one: {A}}}", "a1 b1 a2", ["a1", "a2"]),
        (f"{{any: [{A}, {B}]}}", "a1 b1 c1", ["a1", "b1"]),
        ("{any: []}", "a1 c1", ["a1", "c1"]),
        (f"{{all: [{A}, {B}]}}", "a1 a2 b1 b2", ["a1 b1"]),
        (f"{{all: [{A}, {A}]}}", "a1 b1 a2 a3", ["a1 a2"]),
        (f"{{any: [{A}, {B}], until: '. | length == 3'}}", "a1 b1 a2 b2", ["a1 b1 a2"]),
        (f"{{any: [{A}], until: {{one: {END}}}}}", "end1 a1 a2 end2 a3", ["a1 a2"]),
        (f"{{any: [{A}], until: {{all: [{END}, {B}]}}}}", "a1 end1 a2 b1", ["a1 a2"]),
        (f"{{one: {{with: {{type: a}}, {BY_ORDER}}}}}", "a1:7 a2", ["a1"]),
        (f"{{all: [{A_OF}, {B_OF}]}}", "a1:7 b1:8 b2:7", ["a1 b2"]),
        ("{one: {with: {type: 'a|b'}}}", "a1 c1 b1", ["a1", "b1"]),
        ("{one: {with: {type: '${ . == \"a\" }'}}}", "b1 a1", ["a1"]),
        ("{one: {with: {type: a}, correlate: {order: {from: .data.order, expect: '7'}}}}", "a1:8 a2:7", ["a2"]),
    ],
)
def test_a_schedule_starts_with(on: str, texts: str, started: Sequence[str]) -> None:
    assert starts(on, texts) == started


def test_the_event_that_ends_it_begins_nothing() -> None:
    assert not strategy(f"{{any: [{A}], until: {{one: {END}}}}}").hear(None, event("end1")).took


def test_a_condition_that_faults_ends_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert starts(f"{{any: [{A}], until: '.[0].data | error'}}", "a1 a2") == []
    assert {record.message for record in caplog.records} == {"schedule.until"}


@pytest.mark.parametrize(
    ("on", "bound"),
    [
        (f"{{all: [{A_OF}, {B_OF}]}}", {"order": "7"}),
        (f"{{all: [{A_OF}, {B}]}}", None),
        (f"{{all: [{A}, {B}]}}", None),
        (f"{{any: [{A_OF}], until: {{one: {B_OF}}}}}", {"order": "7"}),
        (f"{{any: [{A_OF}], until: {{one: {B}}}}}", None),
        ("{one: {with: {type: a}, correlate: {order: {from: .data.order, expect: '7'}}}}", None),
    ],
)
def test_events_are_gathered_by_the_values_that_all_filters_share(on: str, bound: object) -> None:
    assert strategy(on).bound_by(event("a1:7")) == bound


def test_an_event_without_the_value_is_of_no_concern() -> None:
    wanted = strategy(f"{{all: [{A_OF}, {B_OF}]}}")

    assert wanted.bound_by(event("a1")) is None
    assert not wanted.hear(None, event("a1")).took
