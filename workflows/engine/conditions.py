"""Event filters of a definition as patterns: what can be said when a subscription is opened is said then.

Texts without expressions are compared, and so is what an expression makes of a variable (`${ $context.order }`). All
other expressions are asked about each event, with the attribute as `.`.

Source: DSL reference, "Event Filter"; rule 30 of docs/dsl.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from workflows.dsl.expression import (
    ArrayTemplate,
    Expression,
    Interpolation,
    Literal,
    LooseText,
    ObjectTemplate,
    Template,
    UriTemplate,
)
from workflows.dsl.jsontext import Json, encode
from workflows.dsl.model import Correlation, EventFilter
from workflows.engine.correlation import Correlate, Pattern, Test, is_pattern
from workflows.engine.problems import ProblemError, problem

Render = Callable[[Template], Json]
"""Evaluates a template when a subscription is opened. Raises ProblemError."""

_OF_A_VARIABLE = re.compile(r"\$[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\s*(\|(?!=).*)?", re.ASCII | re.DOTALL)
"""Programs that read no `.` of their own: a path from a variable, and what follows its pipe."""

_INDEXED = ("type", "source")


def pattern_of(wanted: EventFilter, render: Render) -> Pattern:
    """Return a filter as a pattern. Raises ProblemError when an expression fails, or gives what no event could have."""
    equal: dict[str, Json] = {}
    tests: dict[str, Test] = {}
    for name, template in wanted.with_.items():
        if not _is_settled(template):
            tests[name] = Test("expression", _program(template))
            continue
        value = render(template)
        if value is None:
            raise ProblemError(problem("expression", f"the filter's {name} is null, which no event has"))
        if isinstance(template, Literal) and isinstance(value, str) and is_pattern(value):
            tests[name] = Test("regex", value)
        elif isinstance(value, bool) and not isinstance(template, Literal):
            tests[name] = Test("expression", "true" if value else "false")
        else:
            equal[name] = value
    texts = {name: str(equal.pop(name)) for name in _INDEXED if isinstance(equal.get(name), str)}
    correlate = {name: _correlate(name, each, render) for name, each in wanted.correlate.items()}
    return Pattern(equal=equal, tests=tests, correlate=correlate, **texts)


def _correlate(name: str, wanted: Correlation, render: Render) -> Correlate:
    if wanted.expect is None:
        return Correlate(wanted.from_.text)
    value = render(wanted.expect)
    if value is None:
        raise ProblemError(problem("expression", f"what {name!r} should be is null, and nothing correlates with null"))
    return Correlate(wanted.from_.text, value)


def _is_settled(template: Template) -> bool:
    """Return whether a template says the same of every event."""
    match template:
        case Literal():
            return True
        case Expression():
            return _OF_A_VARIABLE.fullmatch(template.text) is not None
        case Interpolation(parts=parts) | UriTemplate(parts=parts):
            return all(isinstance(part, str) or _is_settled(part) for part in parts)
        case ObjectTemplate(members=members):
            return all(_is_settled(member) for _, member in members)
        case ArrayTemplate(items=items):
            return all(map(_is_settled, items))
        case LooseText():
            return False


def _program(template: Template) -> str:
    """Return the jq that says what a template does."""
    match template:
        case Literal(value=value):
            return encode(value).decode()
        case Expression(text=text):
            return text
        case Interpolation(parts=parts) | UriTemplate(parts=parts):
            return " + ".join(_text(part) for part in parts)
        case ObjectTemplate(members=members):
            return "{" + ", ".join(f"{encode(name).decode()}: {_first(each)}" for name, each in members) + "}"
        case ArrayTemplate(items=items):
            return "[" + ", ".join(map(_first, items)) + "]"
        case LooseText(text=text, program=program):
            return f"try ({_first(program)}) catch {encode(text).decode()}"


def _first(template: Template) -> str:
    """The first result alone, null without any. An expression may end in a comment, so its line ends with it."""
    return f"([{_program(template)}\n][0])" if isinstance(template, Expression) else f"({_program(template)})"


def _text(part: str | Expression) -> str:
    return encode(part).decode() if isinstance(part, str) else f"({_first(part)} | tostring)"


def settled(patterns: tuple[Pattern, ...]) -> dict[str, Json]:
    """Return the values of correlations that are known before any event has come."""
    found: dict[str, Json] = {}
    for pattern in patterns:
        for name, correlate in pattern.correlate.items():
            if correlate.expect is not msgspec.UNSET:
                found.setdefault(name, correlate.expect)
    return found
