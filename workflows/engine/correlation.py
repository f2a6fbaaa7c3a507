"""Whether a CloudEvent is wanted, and by which of its values an index finds those who may want it.

The index only narrows: what it finds is decided by `matches`, under the lock of whoever wants the event. So both must
take the same values for equal, and do: they compare the same texts.

Source: DSL reference, "Event Filter" and "Correlation"; rules 30 and 31 of docs/dsl.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import jsonschema_rs
import msgspec

from workflows.dsl import jsontext
from workflows.dsl.expression import Expression
from workflows.dsl.jsontext import Json
from workflows.engine import expressions
from workflows.engine.expressions import Variables
from workflows.engine.problems import ProblemError

Event = Mapping[str, Json]
"""A CloudEvent in JSON format: attributes beside `data` or `data_base64`."""

Complain = Callable[[str], None]
"""Takes why a filter could not be asked about an event."""

_REGEX_BYTES = 1_000_000
_NOTHING: Variables = {}


class Correlate(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """A value by which events belong together."""

    from_: str
    """jq on the CloudEvent."""

    expect: Json | msgspec.UnsetType = msgspec.UNSET
    """What it must be; without it, what it was in the first event."""


class Test(msgspec.Struct, frozen=True):
    """What an attribute is asked."""

    sort: Literal["regex", "expression"]
    text: str
    """A regular expression for the whole of it, which its text may equal as well; or jq, with the attribute as `.`."""


class Pattern(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event filter, as it stood when a subscription was opened. JSON."""

    type: str = ""
    """The type that it requires; empty when any will do, or another test decides."""

    source: str = ""
    """Likewise."""

    equal: Mapping[str, Json] = {}
    """Further attributes to the values that they must have."""

    tests: Mapping[str, Test] = {}
    """Attributes to what else is asked of them: nothing that an index could answer."""

    correlate: Mapping[str, Correlate] = {}
    """Names of values to where they stand."""


class Interest(msgspec.Struct, frozen=True):
    """What many patterns share: which of an event's values an index asks for."""

    type: str = ""
    source: str = ""
    attributes: tuple[str, ...] = ()
    froms: tuple[str, ...] = ()
    """Programs of correlations."""


def interest_of(pattern: Pattern, bound: Mapping[str, Json]) -> tuple[Interest, str]:
    """Return by which of an event's values a pattern is found, and the key of the values that it requires.

    Args:
        pattern: What is wanted.
        bound: Values of correlations that an earlier event has settled.
    """
    required: dict[str, Json] = {}
    for name, correlate in pattern.correlate.items():
        expected = bound.get(name) if correlate.expect is msgspec.UNSET else correlate.expect
        if expected is not None and expressions.ends_without_variables(correlate.from_):
            required.setdefault(correlate.from_, expected)
    attributes, froms = tuple(sorted(pattern.equal)), tuple(sorted(required))
    values = [*(_spelled(pattern.equal[name]) for name in attributes), *(_written(required[text]) for text in froms)]
    return Interest(pattern.type, pattern.source, attributes, froms), _key(values)


def key_of(interest: Interest, event: Event) -> str | None:
    """Return the key of an event's values; None when no pattern of this interest can match it."""
    if not _is_of(interest, event):
        return None
    values = []
    try:
        for name in interest.attributes:
            value = event.get(name)
            if value is None:
                return None
            values.append(_spelled(value))
        for text in interest.froms:
            value = expressions.evaluate(Expression(text), event, _NOTHING)
            if value is None:
                return None
            values.append(_written(value))
    except (ProblemError, RecursionError):
        return None
    return _key(values)


def matches(
    pattern: Pattern,
    event: Event,
    bound: Mapping[str, Json],
    variables: Variables = _NOTHING,
    complain: Complain | None = None,
) -> Mapping[str, Json] | None:
    """Return the values of correlations that are settled after an event; None when it is not wanted.

    A filter that fails on an event does not match it.

    Args:
        pattern: What is wanted.
        event: What has come.
        bound: Values that are settled before.
        variables: What expressions see besides.
        complain: Is told why a filter failed.
    """
    if not _is_of(pattern, event):
        return None
    try:
        for name, wanted in pattern.equal.items():
            value = event.get(name)
            if value is None or _spelled(value) != _spelled(wanted):
                return None
        if all(_passes(test, event.get(name), variables) for name, test in pattern.tests.items()):
            return _correlated(pattern, event, bound, variables)
    except (ProblemError, RecursionError) as error:
        if complain is not None:
            what = error.problem.detail if isinstance(error, ProblemError) else None
            complain(what or "its data is nested too deeply")
    return None


def is_pattern(text: str) -> bool:
    """Return whether a literal text is asked as a regular expression too."""
    return not _PLAIN.isdisjoint(text) and _regex(text) is not None


def identity(event: Event) -> str:
    """Return what tells an event from all others: short, from its source and its id."""
    return sha256(f"{event['source']}\0{event['id']}".encode()).hexdigest()[:16]


def _is_of(wanted: Pattern | Interest, event: Event) -> bool:
    if wanted.type and event.get("type") != wanted.type:
        return False
    return not wanted.source or event.get("source") == wanted.source


def _passes(test: Test, value: Json, variables: Variables) -> bool:
    if test.sort == "regex":
        return value is not None and _is_like(test.text, _spelled(value))
    found = expressions.evaluate(Expression(test.text), value, variables)
    if found is True or found is False:
        return found
    return found is not None and value is not None and _spelled(found) == _spelled(value)


def _is_like(text: str, value: str) -> bool:
    regex = _regex(text)
    return text == value or (regex is not None and regex.is_valid(value))


def _correlated(
    pattern: Pattern, event: Event, bound: Mapping[str, Json], variables: Variables
) -> Mapping[str, Json] | None:
    after = bound
    for name, correlate in pattern.correlate.items():
        value = expressions.evaluate(Expression(correlate.from_), event, variables)
        if value is None:
            return None
        expected = after.get(name) if correlate.expect is msgspec.UNSET else correlate.expect
        if expected is None:
            after = {**after, name: value}
        elif _written(value) != _written(expected):
            return None
    return after


_PLAIN = frozenset("\\*+?[](){}|^$")
"""Without any of these a text is no regular expression: the dot of `com.example.placed` stands for itself."""


@lru_cache(1000)
def _regex(text: str) -> jsonschema_rs.Validator | None:
    """Return what looks a whole text over, in time that grows with its length; None when it is no regular expression.

    Python's own would take for ever over some.
    """
    options = jsonschema_rs.RegexOptions(size_limit=_REGEX_BYTES)
    try:
        return jsonschema_rs.validator_for({"pattern": f"^(?:{text})$"}, pattern_options=options)
    except ValueError:
        return None


def _key(values: list[str]) -> str:
    return sha256(jsontext.encode(values)).hexdigest()[:32] if values else ""


def _spelled(value: Json) -> str:
    """Return an attribute as text: those of CloudEvents are texts, whatever type they are sent in."""
    return value if isinstance(value, str) else _written(value)


def _written(value: Json) -> str:
    """Return a text that equal values share: 1, 1.0 and 1e0 are equal, and so are objects in any order."""
    match value:
        case str():
            return jsontext.encode(value).decode()
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            members = sorted(value.items())
            return "{" + ",".join(f"{_written(name)}:{_written(each)}" for name, each in members) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
        case _:
            return _number(Decimal(repr(value)) if isinstance(value, float) else value)


def _number(value: int | Decimal) -> str:
    if isinstance(value, int):
        return str(value) if value.bit_length() < _LONG else hex(value)
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _LONG:
        return str(value)
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "0") else text


_LONG = 4096
"""Python writes no longer integers in decimal."""
