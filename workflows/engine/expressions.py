"""Evaluates expressions and templates. Rules 1 to 9 of docs/dsl.md.

Three tiers: what is common in Python (`jq_python.py`), what surely ends soon in jq inside this process
(`jq_bounds.py`), everything else in a helper process that can be killed (`Sandbox`).
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import quote

from workflows.dsl import jq_programs
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
from workflows.dsl.jq_programs import compiled, free_variables, wrapped
from workflows.dsl.jsontext import Json, decode, encode
from workflows.engine.jq_bounds import Growth, growth
from workflows.engine.jq_python import Evaluate, translate
from workflows.engine.jq_values import Fallback
from workflows.engine.problems import Problem, ProblemError, problem

Variables = Mapping[str, Json]
"""Names without `$` to values; `now` is the step's time in seconds since 1970."""


class SandboxNeeded(Exception):  # noqa: N818  (a signal to whoever takes the step)
    """A program may not end, and this thread must not wait for it."""


class Sandbox(Protocol):
    """Runs programs that may not end."""

    def run(self, program: str, text: str) -> str | None:
        """Return the first result as JSON text, None without one.

        Args:
            program: A whole program, as `jq_programs.wrapped` gives it.
            text: Its input, JSON.

        Raises:
            ValueError: The program failed; jq's message.
            TimeoutError: It took too long, or too much memory.
        """
        ...


class _Refusing:
    """Stands in until the runtime gives helpers."""

    def run(self, program: str, text: str) -> str | None:
        raise ProblemError(problem("configuration", "this expression may not end, and there is no helper to run it in"))


_sandbox: Sandbox = _Refusing()
_distrustful = False
_forbidden: ContextVar[bool] = ContextVar("forbidden", default=False)


def set_sandbox(sandbox: Sandbox, *, everything: bool = False) -> None:
    """Give the helpers that run what may not end; with `everything`, all that Python does not evaluate."""
    global _sandbox, _distrustful
    _sandbox, _distrustful = sandbox, everything


@contextmanager
def sandbox_forbidden() -> Iterator[None]:
    """Within, a program that would have to run in a helper raises `SandboxNeeded` instead."""
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


class _Program:
    """A program and the way it is evaluated."""

    __slots__ = ("_growth", "_names", "python", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.python: Evaluate | None = translate(text)
        self._names: tuple[str, ...] | None = None
        self._growth: Growth | None = None

    def results(self, value: Json, variables: Variables) -> tuple[Json, ...]:
        """Return the first result in a tuple, the empty one without any."""
        if self.python is not None:
            try:
                return (self.python(value, variables),)
            except (Fallback, RecursionError):
                pass
        return self._ask_jq(value, variables)

    def _ask_jq(self, value: Json, variables: Variables) -> tuple[Json, ...]:
        if self._names is None:
            self._growth = growth(self.text)
            self._names = free_variables(self.text)
        given = self._given(self._names, value, variables)
        try:
            if self._is_safe_here(len(given)):
                result = next(iter(compiled(self.text, self._names).input_text(given)), None)
            else:
                result = self._ask_sandbox(self._names, given)
            return () if result is None else (decode(result),)
        except (ValueError, RecursionError) as error:
            raise ProblemError(self.problem(str(error))) from error
        except TimeoutError as error:
            raise ProblemError(self.problem(str(error))) from error

    def _is_safe_here(self, size: int) -> bool:
        return self._growth is not None and not _distrustful and self._growth.fits(size + len(self.text))

    def is_alone(self) -> bool:
        """Whether it surely ends soon, and reads nothing but its input."""
        if free_variables(self.text):
            return False
        return self.python is not None or growth(self.text) is not None

    def _ask_sandbox(self, names: tuple[str, ...], given: str) -> str | None:
        if _forbidden.get():
            raise SandboxNeeded(self.text)
        return _sandbox.run(wrapped(self.text, names), given)

    def _given(self, names: tuple[str, ...], value: Json, variables: Variables) -> str:
        missing = [name for name in names if name not in variables]
        if missing:
            raise ProblemError(self.problem(f"${missing[0]} is not defined here"))
        now = variables.get("now", 0)
        bound = {name: variables[name] for name in names}
        return encode({"t": now, "v": value, "n": bound}).decode()

    def problem(self, message: str) -> Problem:
        """Return the `expression` problem that names the program."""
        shown = self.text if len(self.text) <= 200 else self.text[:197] + "..."
        first = message.partition("\n")[0].removeprefix("jq: error (at <unknown>): ").removeprefix("jq: error: ")
        return problem("expression", f"{shown}: {first[:500]}")


def keep_programs(count: int, age: Callable[[], float]) -> None:
    """Say how many programs this process remembers; before any is evaluated.

    Args:
        count: 0 for none.
        age: What a program is remembered by besides its text: once this gives something else, it is compiled again.
    """
    global _remembered, _age
    _remembered, _age = functools.lru_cache(count)(_programmed), age
    jq_programs.keep(count, age)


def _programmed(text: str, age: float) -> _Program:
    return _Program(text)


_remembered = functools.lru_cache(10_000)(_programmed)
_age: Callable[[], float] = int


def _program(text: str) -> _Program:
    return _remembered(text, _age())


def ends_without_variables(text: str) -> bool:
    """Return whether a program surely ends soon, and reads nothing but its input."""
    return _program(text).is_alone()


def evaluate(expression: Expression, value: Json, variables: Variables) -> Json:
    """Return the first result, null without any. ProblemError when the program fails."""
    found = _program(expression.text).results(value, variables)
    return found[0] if found else None


def evaluate_required(expression: Expression, value: Json, variables: Variables) -> Json:
    """Return the first result; none is a problem, as it is in `in`, `when`, `while` and `if`."""
    program = _program(expression.text)
    found = program.results(value, variables)
    if not found:
        raise ProblemError(program.problem("there is no result"))
    return found[0]


def test(expression: Expression, value: Json, variables: Variables) -> bool:
    """Return whether a condition holds: null does not, and what is no boolean is a problem."""
    result = evaluate_required(expression, value, variables)
    if result is True:
        return True
    if result is None or result is False:
        return False
    shown = encode(result)[:80].decode(errors="replace")
    raise ProblemError(_program(expression.text).problem(f"a condition is true or false, not {shown}"))


def render(template: Template, value: Json, variables: Variables) -> Json:
    """Return what a template says for these values."""
    return _RENDER[type(template)](template, value, variables)


def _literal(template: Literal, value: Json, variables: Variables) -> Json:
    return template.value


def _object(template: ObjectTemplate, value: Json, variables: Variables) -> Json:
    return {key: _RENDER[type(member)](member, value, variables) for key, member in template.members}


def _array(template: ArrayTemplate, value: Json, variables: Variables) -> Json:
    return [_RENDER[type(item)](item, value, variables) for item in template.items]


def _interpolated(template: Interpolation, value: Json, variables: Variables) -> str:
    parts = (p if isinstance(p, str) else _spelled(evaluate(p, value, variables)) for p in template.parts)
    return "".join(parts)


def _loose(template: LooseText, value: Json, variables: Variables) -> Json:
    try:
        return evaluate(template.program, value, variables)
    except ProblemError:
        return template.text


def _uri(template: UriTemplate, value: Json, variables: Variables) -> str:
    scope = variables.get("input", value)
    parts = (
        _expanded(part, scope) if isinstance(part, str) else _spelled(evaluate(part, value, variables))
        for part in template.parts
    )
    return "".join(parts)


def _expanded(text: str, scope: Json) -> str:
    pieces = text.split("{")
    done = [pieces[0]]
    for piece in pieces[1:]:
        name, closed, rest = piece.partition("}")
        if not closed or not name or any(letter.isspace() for letter in name) or done[-1].endswith("$"):
            done.append("{" + piece)
        else:
            done.append(_simple(name, scope.get(name) if isinstance(scope, dict) else None) + rest)
    return "".join(done)


def _simple(name: str, value: Json) -> str:
    """RFC 6570's simple expansion: a missing value is empty, a list or an object is a problem."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        detail = f"{{{name}}} in a URI stands for a text or number, not for {_kind(value)}"
        raise ProblemError(problem("expression", detail))
    return quote(_spelled(value), safe="")


def _kind(value: Json) -> str:
    return "an object" if isinstance(value, dict) else "an array"


def _spelled(value: Json) -> str:
    return value if isinstance(value, str) else encode(value).decode()


_RENDER: Mapping[type[Any], Callable[[Any, Json, Variables], Json]] = {
    Literal: _literal,
    Expression: evaluate,
    Interpolation: _interpolated,
    UriTemplate: _uri,
    LooseText: _loose,
    ObjectTemplate: _object,
    ArrayTemplate: _array,
}
