"""The tokens of jq: enough to find where a program ends, what it names, and what it may do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#(?:\\\r\n|\\.|[^\\\n])*\\?)
  | (?P<field>\.[A-Za-z_]\w*)
  | (?P<variable>\$\s*(?:[A-Za-z_]\w*::)*[A-Za-z_]\w*)
  | (?P<format>@\w+)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>(?:[A-Za-z_]\w*::)*[A-Za-z_]\w*)
  | (?P<operator>\?//=|\?//|//=|\|=|\+=|-=|\*=|/=|%=|==|!=|<=|>=|//|\.\.|[.\[\](){}|,:;=<>+\-*/%?])
  | (?P<quote>")
  | (?P<bad>.)
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a jq program. A comment goes on where a backslash ends its line."""

    kind: str
    """`field`, `variable`, `format`, `number`, `name`, `operator`, `string`, or `bad`: no token of jq."""

    text: str
    start: int
    end: int
    inner: "tuple[Token, ...]" = ()
    """Tokens of the `\\( )` inside a string."""


class UnterminatedError(ValueError):
    """A string, or the program itself, has no end."""


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens from a place on, white space and comments left out.

    Raises:
        UnterminatedError: A string has no end.
    """
    place = start
    while place < len(text):
        match = _TOKEN.match(text, place)
        assert match is not None  # `bad` takes any character
        kind = str(match.lastgroup)
        if kind == "quote":
            token = _string(text, place)
            yield token
            place = token.end
            continue
        if kind != "space":
            yield Token(kind, match[0], place, match.end())
        place = match.end()


def closing(text: str, start: int, opener: str = "{", closer: str = "}") -> int:
    """Return where the bracket closes that was opened just before `start`.

    Raises:
        UnterminatedError: It does not.
    """
    *_, last = _until_closed(text, start, opener, closer)
    return last.start


def _until_closed(text: str, start: int, opener: str, closer: str) -> Iterator[Token]:
    """Yield the tokens up to the bracket that closes, that included."""
    depth = 1
    for token in tokens(text, start):
        depth += (token.text == opener) - (token.text == closer)
        yield token
        if not depth:
            return
    raise UnterminatedError(f"{opener} is never closed")


def everything(found: Iterator[Token] | tuple[Token, ...]) -> Iterator[Token]:
    """Yield tokens and those inside their strings."""
    for token in found:
        yield token
        yield from everything(token.inner)


def _string(text: str, start: int) -> Token:
    place = start + 1
    inner: list[Token] = []
    while place < len(text):
        letter = text[place]
        if letter == '"':
            return Token("string", text[start : place + 1], start, place + 1, tuple(inner))
        if letter == "\\" and text[place + 1 : place + 2] == "(":
            try:
                *within, last = _until_closed(text, place + 2, "(", ")")
            except RecursionError:
                raise UnterminatedError("texts stand within texts too deeply") from None
            inner.extend(within)
            place = last.end
        else:
            place += 2 if letter == "\\" else 1
    raise UnterminatedError("a string is never closed")
