"""Runtime expressions and templates as they stand in a definition: found in texts, checked, not evaluated.

Rules 1 to 9 of docs/dsl.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from workflows.dsl.jq_batches import broken
from workflows.dsl.jq_programs import LENGTH_LIMIT, free_variables
from workflows.dsl.jq_tokens import Token, UnterminatedError, closing, everything, tokens
from workflows.dsl.jsontext import Json


@dataclass(frozen=True, slots=True)
class Expression:
    """A jq program."""

    text: str
    """Without `${ }`."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value without expressions."""

    value: Json


@dataclass(frozen=True, slots=True)
class Interpolation:
    """A text with `${ }` inside it."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """Like an interpolation; `{name}` in the texts is expanded over the task's input."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class LooseText:
    """Loose mode: tried as jq; where that fails, it is the text."""

    text: str
    program: Expression


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    """An object, some members of which are no literals."""

    members: "tuple[tuple[str, Template], ...]"


@dataclass(frozen=True, slots=True)
class ArrayTemplate:
    """An array, some items of which are no literals."""

    items: "tuple[Template, ...]"


Template = Literal | Expression | Interpolation | UriTemplate | LooseText | ObjectTemplate | ArrayTemplate


class ExpressionSyntaxError(ValueError):
    """A text that is no expression, or one that jq does not take."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


OPENING = re.compile(r"""\$\{(?=[\s.$(\[{"])""")
"""Shell's `${NAME}` is none."""

_PLACEHOLDER = re.compile(r"\{[^{}\s]*\}")


def parse_expression(text: str) -> Expression:
    """Return the program of a field that is an expression, with or without `${ }` around it.

    Raises:
        ExpressionSyntaxError: `${` is never closed.
    """
    whole = _whole(text)
    return Expression(text.strip()) if whole is None else whole


IsProgram = Callable[[str], bool]


def parse_template(value: Json, *, uri: bool = False, is_program: IsProgram | None = None) -> Template:
    """Return what a value says, whose texts may hold expressions. What is wholly literal is one `Literal`.

    Args:
        value: JSON.
        uri: Whether the value is a URI, with `{name}` to be expanded.
        is_program: Loose mode: says which other texts are tried as jq too.

    Raises:
        ExpressionSyntaxError: `${` is never closed.
    """
    if isinstance(value, str):
        return _text(value, uri, is_program)
    if isinstance(value, dict):
        members = tuple((key, parse_template(member, is_program=is_program)) for key, member in value.items())
        is_literal = all(isinstance(member, Literal) for _, member in members)
        return Literal(value) if is_literal else ObjectTemplate(members)
    if isinstance(value, list):
        items = tuple(parse_template(item, is_program=is_program) for item in value)
        return Literal(value) if all(isinstance(item, Literal) for item in items) else ArrayTemplate(items)
    return Literal(value)


def _text(text: str, uri: bool, is_program: IsProgram | None) -> Template:
    whole = _whole(text)
    if whole is not None:
        return whole
    parts = _parts(text)
    if uri and any(isinstance(part, str) and _PLACEHOLDER.search(part) for part in parts):
        return UriTemplate(parts)
    if any(isinstance(part, Expression) for part in parts):
        return Interpolation(parts)
    if is_program is not None and is_program(text):
        return LooseText(text, Expression(text))
    return Literal(text)


def _whole(text: str) -> Expression | None:
    stripped = text.strip()
    if not stripped.startswith("${"):
        return None
    end = _end(stripped, 2)
    return Expression(stripped[2:end].strip()) if end == len(stripped) - 1 else None


def _parts(text: str) -> tuple[str | Expression, ...]:
    parts: list[str | Expression] = []
    place = 0
    while match := OPENING.search(text, place):
        end = _end(text, match.end())
        parts += [text[place : match.start()], Expression(text[match.end() : end].strip())]
        place = end + 1
    parts.append(text[place:])
    return tuple(part for part in parts if part != "")


def _end(text: str, start: int) -> int:
    """Return where an expression ends. A longer one would be refused anyway."""
    limit = start + LENGTH_LIMIT + 2
    try:
        return closing(text if len(text) <= limit else text[:limit], start)
    except UnterminatedError as error:
        if len(text) > limit:
            raise ExpressionSyntaxError(
                f"`${{` is not closed within {LENGTH_LIMIT} characters in {_short(text)}"
            ) from error
        raise ExpressionSyntaxError(f"`${{` is never closed in {_short(text)}: {error}") from error


def is_program(text: str) -> bool:
    """Return whether a text compiles."""
    return not any(broken([text]))


def mistakes(found: Iterable[tuple[str, Expression]]) -> Iterator[tuple[str, ExpressionSyntaxError]]:
    """Yield the places of expressions that are no jq, and what is wrong with them."""
    places: dict[str, list[str]] = {}
    for place, expression in found:
        places.setdefault(expression.text, []).append(place)
    for text, message in broken(places):
        error = _error(text, message)
        yield from ((place, error) for place in places[text])


def _error(text: str, message: str) -> ExpressionSyntaxError:
    if not text.strip():
        return ExpressionSyntaxError("an empty text is not jq", "leave the member out, or write . for all of the data")
    return ExpressionSyntaxError(f"{_short(text)} is not jq: {_reason(text, message)}", _hint(text, message))


def check(expression: Expression) -> None:
    """Compile a program.

    Raises:
        ExpressionSyntaxError: It does not compile; with a hint where the mistake is a common one.
    """
    for _, error in mistakes([("", expression)]):
        raise error


def expressions_in(template: Template) -> Iterator[Expression]:
    """Yield the programs of a template."""
    match template:
        case Expression():
            yield template
        case Interpolation(parts=parts) | UriTemplate(parts=parts):
            yield from (part for part in parts if isinstance(part, Expression))
        case ObjectTemplate(members=members):
            for _, member in members:
                yield from expressions_in(member)
        case ArrayTemplate(items=items):
            for item in items:
                yield from expressions_in(item)
        case _:
            return


def variables(expression: Expression) -> frozenset[str]:
    """Return the names of the variables that a program reads, without `$`."""
    return frozenset(free_variables(expression.text))


def secret_paths(expression: Expression) -> frozenset[tuple[str, ...]]:
    """Return the paths into `$secrets` (or `$secret`) that a program reads, the secret's name first."""
    try:
        found = tuple(everything(tokens(expression.text)))
    except UnterminatedError:
        return frozenset()
    places = [place for place, token in enumerate(found) if token.text in ("$secrets", "$secret")]
    paths = (tuple(_path(found, place + 1)) for place in places)
    return frozenset(path for path in paths if path)


def _path(found: tuple[Token, ...], place: int) -> list[str]:
    path: list[str] = []
    while place < len(found):
        token = found[place]
        words = [following.text for following in found[place : place + 3]]
        if token.kind == "field":
            path.append(token.text[1:])
            place += 1
        elif token.text == "." and place + 1 < len(found) and found[place + 1].kind == "string":
            path.append(words[1][1:-1])
            place += 2
        elif token.text == "[" and len(words) == 3 and words[2] == "]" and words[1].startswith('"'):
            path.append(words[1][1:-1])
            place += 3
        else:
            break
    return path


_HINTS = (
    (re.compile(r"'"), "texts stand in double quotes in jq"),
    (re.compile(r"===|!=="), "jq compares with == and !="),
    (re.compile(r"&&"), "jq says `and`"),
    (re.compile(r"\|\|"), "jq says `or`; for a default value use //"),
    (re.compile(r"\w\(\s*\)"), "functions without arguments have no parentheses in jq"),
    (re.compile(r"!(?!=)"), "jq negates with `| not`"),
    (re.compile(r"\?[^?:/]*:"), "jq says: if condition then this else that end"),
    (re.compile(r"=>"), "jq has no functions without a name: map(.x), select(.x)"),
    (re.compile(r"`"), "texts stand in double quotes in jq"),
)
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_UNDEFINED = re.compile(r"(\w+)/(\d+) is not defined")


def _hint(text: str, message: str) -> str:
    """Return what to write instead, for mistakes of those who come from other languages."""
    bare = _STRINGS.sub('""', text[:1000])
    for sign, hint in _HINTS:
        if sign.search(bare):
            return hint
    name = _UNDEFINED.search(message)
    if name is None:
        return ""
    takes = f"with {name[2]} arguments" if name[2] != "0" else "without arguments"
    return f"jq has no function {name[1]} {takes}; a text stands in double quotes, a member begins with a dot"


def _reason(text: str, message: str) -> str:
    """Return jq's first line, without the place: it counts the lines of the wrapper."""
    first = message.partition("\n")[0].removeprefix("jq: error: ")
    reason = re.sub(r"(, expecting .*)? at <top-level>.*", "", first)
    return reason if ")" in text else reason.replace("unexpected ')'", "it ends too early")


def _short(text: str) -> str:
    return f"`{text if len(text) <= 80 else text[:77] + '...'}`"
