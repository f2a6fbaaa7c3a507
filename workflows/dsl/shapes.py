"""Readers of the small things that definitions are made of. Each notes what is wrong and goes on."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.dsl.duration import UNITS, parse_duration
from workflows.dsl.expression import (
    OPENING,
    ArrayTemplate,
    Expression,
    ExpressionSyntaxError,
    Interpolation,
    Literal,
    ObjectTemplate,
    Template,
    UriTemplate,
    is_program,
    parse_expression,
    parse_template,
)
from workflows.dsl.issues import Issues, did_you_mean
from workflows.dsl.jsontext import Json
from workflows.dsl.model import (
    Duration,
    Task,
    TaskList,
    Timeout,
)
from workflows.dsl.position import below

_PATH = re.compile(r"\.|(\$[A-Za-z_]\w*)?(\.[A-Za-z_]\w*){1,99}|\$[A-Za-z_]\w*", re.ASCII)
"""Programs that surely compile."""

NOTHING = Literal(None)

LOOSE_LIMIT = 1000
"""Different texts that loose mode tries as jq."""


@dataclass
class Context:
    """What the readers of one definition share."""

    issues: Issues
    mode: str = "strict"
    use: Mapping[str, Any] = field(default_factory=dict)
    """The raw `use` object: what names are looked up in."""

    functions: dict[str, Task] = field(default_factory=dict)
    """Functions of `use` that were read so far."""

    programs: list[tuple[str, Expression]] = field(default_factory=list)
    """Pointers and the expressions there, to be compiled when all is read."""

    filters: list[tuple[str, Expression]] = field(default_factory=list)
    """Those of event filters, whose variables are looked over when all is read (`dsl/filter_variables.py`)."""

    tried: dict[str, bool] = field(default_factory=dict)
    """Loose mode: texts that may be expressions, and whether they are."""

    read_tasks: "Callable[[Context, Json, str], TaskList] | None" = None
    """Reads a list of tasks, for what is defined before tasks are."""

    def is_program(self, text: str) -> bool:
        """Return whether loose mode takes a text as jq; one after the other, which is why their number is limited."""
        if text not in self.tried:
            self.tried[text] = len(self.tried) < LOOSE_LIMIT and is_program(text)
        return self.tried[text]

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of `use`, empty when it is missing or malformed."""
        found = self.use.get(name)
        return found if isinstance(found, dict) else {}


def members(
    context: Context,
    value: Json,
    pointer: str,
    what: str,
    known: Iterable[str] | None = None,
    required: Iterable[str] = (),
) -> dict[str, Json]:
    """Return the members of an object, after a look at their names; empty when it is none."""
    if not isinstance(value, dict):
        context.issues.error(pointer, f"{what} is an object, not {kind_of(value)}")
        return {}
    if known is not None:
        names = tuple(known)
        for key in value:
            if key not in names:
                hint = did_you_mean(key, names)
                context.issues.error(below(pointer, key), f"{what} has no member {key!r}", hint)
    for key in required:
        if key not in value:
            context.issues.error(pointer, f"{what} lacks {key!r}")
    return value


def kind_of(value: Json) -> str:
    """Return what a value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    words: Mapping[type[Any], str] = {str: "a text", dict: "an object", list: "an array"}
    return words.get(type(value), "a number")


def text(context: Context, value: Json, pointer: str, what: str, pattern: re.Pattern[str] | None = None) -> str:
    """Return a text; the empty one when it is none."""
    if not isinstance(value, str):
        context.issues.error(pointer, f"{what} is a text, not {kind_of(value)}", _quoting(value))
        return ""
    if "\x00" in value:
        context.issues.error(pointer, f"{what} holds a NUL character")
    elif pattern is not None and not pattern.fullmatch(value):
        context.issues.error(pointer, f"{value[:80]!r} is no {what}")
    return value


def _quoting(value: Json) -> str:
    return "" if value is None or isinstance(value, dict | list) else "put it in quotes"


def choice(context: Context, value: Json, pointer: str, what: str, allowed: Iterable[str]) -> str:
    """Return one of a few words; the first when it is none of them."""
    words = tuple(allowed)
    if value in words and isinstance(value, str):
        return value
    found = repr(value[:80]) if isinstance(value, str) else kind_of(value)
    context.issues.error(pointer, f"{what} is one of {', '.join(words)}, not {found}")
    return words[0]


def boolean(context: Context, value: Json, pointer: str, what: str) -> bool:
    """Return a boolean; False when it is none."""
    if not isinstance(value, bool):
        context.issues.error(pointer, f"{what} is true or false, not {kind_of(value)}")
    return value is True


def items(context: Context, value: Json, pointer: str, what: str) -> list[Json]:
    """Return an array; the empty one when it is none."""
    if not isinstance(value, list):
        context.issues.error(pointer, f"{what} is an array, not {kind_of(value)}")
        return []
    return value


def expression(context: Context, value: Json, pointer: str, what: str) -> Expression:
    """Return an expression, with or without `${ }` around it."""
    if isinstance(value, bool):
        context.issues.strictly(pointer, f"{what} is a text")
        return Expression("true" if value else "false")
    source = text(context, value, pointer, what)
    if not isinstance(value, str):
        return Expression(".")
    try:
        found = parse_expression(source)
    except ExpressionSyntaxError as error:
        context.issues.error(pointer, error.message, error.hint)
        return Expression(".")
    _check_expression(context, found, pointer)
    return found


def template(context: Context, value: Json, pointer: str, *, uri: bool = False) -> Template:
    """Return what a value says, every expression in it checked."""
    try:
        found = parse_template(value, uri=uri, is_program=context.is_program if context.mode == "loose" else None)
    except ExpressionSyntaxError as error:
        context.issues.error(pointer, error.message, error.hint)
        return NOTHING
    _check_template(context, found, pointer)
    return found


def _check_template(context: Context, found: Template, pointer: str) -> None:
    match found:
        case Expression():
            _check_expression(context, found, pointer)
        case Interpolation(parts=parts) | UriTemplate(parts=parts):
            for part in parts:
                if isinstance(part, Expression):
                    _check_expression(context, part, pointer)
        case ObjectTemplate(members=inner):
            for key, member in inner:
                _check_template(context, member, below(pointer, key))
        case ArrayTemplate(items=inner_items):
            for place, item in enumerate(inner_items):
                _check_template(context, item, below(pointer, place))
        case _:
            pass


def _check_expression(context: Context, found: Expression, pointer: str) -> None:
    if not _PATH.fullmatch(found.text):
        context.programs.append((pointer, found))


def object_of(found: Iterable[tuple[str, Template]]) -> Template:
    """Return an object of templates; a literal when all of them are."""
    pairs = tuple(found)
    if all(isinstance(member, Literal) for _, member in pairs):
        return Literal({key: member.value for key, member in pairs if isinstance(member, Literal)})
    return ObjectTemplate(pairs)


def is_expression(value: Json) -> bool:
    """Return whether a text is an expression as a whole."""
    return isinstance(value, str) and value.strip().startswith("${") and value.strip().endswith("}")


def holds_expression(value: Json) -> bool:
    """Return whether a text is an expression, or has one inside it."""
    return isinstance(value, str) and OPENING.search(value) is not None


def duration(context: Context, value: Json, pointer: str) -> Duration:
    """Return a span of time, or the template that yields one."""
    if holds_expression(value):
        if not is_expression(value):
            context.issues.strictly(pointer, "an expression is the whole text")
        return template(context, value, pointer)
    if isinstance(value, dict):
        for unit, amount in value.items():
            if not isinstance(amount, int):
                context.issues.strictly(below(pointer, unit), f"{unit} is a whole number")
        if any(map(holds_expression, value.values())):
            members(context, value, pointer, "a duration", UNITS)
            return template(context, value, pointer)
    try:
        return parse_duration(value)
    except ValueError as error:
        context.issues.error(pointer, str(error))
        return parse_duration("PT0S")


def named_or_inline(context: Context, value: Json, pointer: str, section: str, what: str) -> tuple[Json, str]:
    """Return the object that a value is or names in a section of `use`, and its pointer."""
    if not isinstance(value, str):
        return value, pointer
    known = context.section(section)
    if value not in known:
        context.issues.error(pointer, f"there is no {what} {value!r} in use.{section}", did_you_mean(value, known))
        return {}, pointer
    return known[value], below(f"/use/{section}", value)


def timeout(context: Context, value: Json, pointer: str) -> Timeout:
    """Return a timeout, inline or by name."""
    found, place = named_or_inline(context, value, pointer, "timeouts", "timeout")
    if isinstance(value, str) and value not in context.section("timeouts"):
        return Timeout(after=parse_duration("PT0S"))
    inner = members(context, found, place, "a timeout", ("after",), ("after",))
    return Timeout(after=duration(context, inner.get("after", "PT0S"), below(place, "after")))
