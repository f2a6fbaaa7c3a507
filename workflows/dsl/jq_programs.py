"""jq programs as they are compiled: wrapped, so that they reach nothing but the values they are given.

The input is `{"t": seconds, "v": value, "n": {name: value}}`: variables are bound from it, since jq.py
fixes its own arguments at compile time, which costs a hundred evaluations.
"""

import functools
import re
from collections.abc import Callable, Iterable

import jq

from workflows.dsl.jq_tokens import Token, UnterminatedError, everything, tokens

_PRELUDE = (
    ".t as $__now | def now: $__now; def env: {}; "
    'def input: error("input is not available"); def inputs: empty; '
    "def debug: .; def debug(m): .; def stderr: .; def input_filename: null; def input_line_number: null; "
    'def halt: error("halt is not allowed"); def halt_error: halt; def halt_error(c): halt; '
    'def get_search_list: []; def modulemeta: error("modules are not allowed"); '
    'def _chunk($n): . as $all | if $n < 1 then error("a chunk has at least one item") '
    "else [range(0; length; $n) | $all[.:. + $n]] end; "
    "def chunk($n): _chunk($n); def chunk(items; $n): items | _chunk($n); "
    "{} as $ENV | "
)
"""What would read the environment, files or the clock is shadowed. `_chunk` is older practice, not jq's."""

CACHE = 10_000
"""Compiled programs kept, some 4 kB each; compiling takes a millisecond."""

LENGTH_LIMIT = 20_000
TOKENS_LIMIT = 4_000
"""jq's compiler takes quadratic time; up to here some hundred milliseconds at worst."""

REPEATED_LIMIT = 100_000
"""Characters that a constant text may be repeated to: jq calculates constants while it compiles."""

_UNDEFINED = re.compile(r"\$(\w+) is not defined")


def wrapped(text: str, names: Iterable[str]) -> str:
    """Return the whole program.

    The line breaks matter: an expression may end in a comment, and a backslash carries that to the next line.

    Raises:
        ValueError: The program would get out of its brackets, or cost too much to compile.
    """
    _inspect(text)
    bound = "".join(f".n.{name} as ${name} | " for name in names)
    return f"{_PRELUDE}{bound}.v | (\n{text}\n\n) | tojson"


def compiled(text: str, names: tuple[str, ...]) -> jq._Program:
    """Return the compiled program; ValueError with jq's message when it does not compile."""
    return _remembered(text, names, _age())


def keep(count: int, age: Callable[[], float]) -> None:
    """Say how many compiled programs this process remembers.

    Args:
        count: 0 for none.
        age: What a program is remembered by besides its text: once this gives something else, it is compiled again.
    """
    global _remembered, _age
    _remembered, _age = functools.lru_cache(count)(_compiled), age


def _compiled(text: str, names: tuple[str, ...], age: float) -> jq._Program:
    return jq.compile(wrapped(text, names))


_remembered = functools.lru_cache(CACHE)(_compiled)
_age: Callable[[], float] = int


def _inspect(text: str) -> None:
    if len(text) > LENGTH_LIMIT:
        raise ValueError(f"the expression has {len(text)} characters, over the limit of {LENGTH_LIMIT}")
    if "\0" in text:
        raise ValueError("a NUL character ends a program for jq")
    outer = list(tokens(text))
    found = list(everything(iter(outer)))
    if len(found) > TOKENS_LIMIT:
        raise ValueError(f"the expression has {len(found)} words, over the limit of {TOKENS_LIMIT}")
    depth = 0
    for token in outer:
        depth += (token.text in _OPENERS) - (token.text in _CLOSERS)
        if depth < 0:
            raise ValueError(f"{token.text} closes a bracket that was never opened")
    if _repeated(found) > REPEATED_LIMIT:
        raise ValueError("a text is repeated too often")


def _repeated(found: Iterable[Token]) -> float:
    """Return how long a text may get by constants alone: in a run of them, lengths times the product of the numbers."""
    longest, length, factor, multiplies = 0.0, 0, 1.0, False
    for token in found:
        if token.kind == "number":
            factor *= max(1.0, float(token.text))
        elif token.kind == "string":
            length += len(token.text)
        elif token.text in _ARITHMETIC:
            multiplies = multiplies or token.text == "*"
        else:
            length, factor, multiplies = 0, 1.0, False
        if multiplies:
            longest = max(longest, length * factor)
    return longest


@functools.lru_cache(CACHE)
def free_variables(text: str) -> tuple[str, ...]:
    """Return the variables that a program reads and does not bind itself, sorted, without `$`."""
    try:
        found = list(everything(tokens(text)))
    except UnterminatedError:
        return ()
    named = {token.text[1:].strip() for token in found if token.kind == "variable"} - {"ENV", "__loc__", "__prog_args"}
    free = named - _bound(found)
    while True:
        try:
            compiled(text, tuple(sorted(free)))
        except ValueError as error:
            missing = _UNDEFINED.search(str(error))
            if missing is None or missing[1] in free or missing[1] not in named:
                break
            # Bound in one place and read outside of it in another.
            free.add(missing[1])
        else:
            break
    return tuple(sorted(free))


def _bound(found: list[Token]) -> set[str]:
    """Return the names in patterns after `as`, up to the pipe or bracket behind them, and in parameters of `def`."""
    bound: set[str] = set()
    binder, ends = "", frozenset[str]()
    for token in found:
        if token.kind == "name" and token.text in _BINDERS:
            binder, ends = token.text, _BINDERS[token.text]
        elif binder and token.kind == "variable":
            bound.add(token.text[1:].strip())
        elif token.text in ends:
            binder, ends = "", frozenset()
    return bound


_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")
_ARITHMETIC = frozenset("()+-*/%")

_BINDERS = {"as": frozenset({"|", "("}), "def": frozenset({":"})}
"""Words that bring in variables, and what ends their patterns."""
