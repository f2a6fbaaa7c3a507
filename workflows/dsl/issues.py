"""Mistakes in a definition: what is wrong, where, and what to do about it. All of them are reported at once."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from workflows.dsl.model import Warning_

Mark = tuple[int, int]
"""Line and column, from 1."""


MOST = 100
"""Mistakes after which reading stops: nobody reads more, and each costs time."""


@dataclass(frozen=True, kw_only=True)
class DefinitionIssue:
    """One mistake."""

    pointer: str
    """JSON pointer of the value."""

    line: int
    column: int
    message: str
    hint: str = ""
    """What to write instead; empty when the message says it."""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.line}:{self.column}: {self.pointer or '/'}: {self.message}{hint}"

    def to_json(self) -> dict[str, Any]:
        """Return it as the API answers it."""
        found = {"pointer": self.pointer, "line": self.line, "column": self.column, "message": self.message}
        return {**found, "hint": self.hint} if self.hint else found


class DefinitionError(Exception):
    """A definition that cannot be accepted."""

    def __init__(self, errors: Iterable[DefinitionIssue]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: (error.line, error.column)))
        super().__init__("\n".join(map(str, self.errors)))


@dataclass
class Issues:
    """Collects what is wrong while a definition is read."""

    place: Callable[[str], Mark]
    """Returns where the value of a pointer stands, or what it is in."""

    strict: bool = False
    """Whether what is merely questionable is an error."""

    errors: list[DefinitionIssue] = field(default_factory=list)
    warnings: list[Warning_] = field(default_factory=list)

    def error(self, pointer: str, message: str, hint: str = "") -> None:
        """Note a mistake; DefinitionError when there are `MOST` of them."""
        line, column = self.place(pointer)
        issue = DefinitionIssue(
            pointer=pointer, line=line, column=column, message=_shortened(message), hint=_shortened(hint)
        )
        if issue in self.errors:
            return
        self.errors.append(issue)
        if len(self.errors) >= MOST:
            raise DefinitionError([*self.errors, stopped(self.errors)])

    def warn(self, pointer: str, message: str) -> None:
        """Note something that is accepted, unless the definition is read strictly."""
        if self.strict:
            self.error(pointer, message)
        else:
            self.remark(pointer, message)

    def strictly(self, pointer: str, message: str) -> None:
        """Note what the specification's schema refuses though its text or practice allows it."""
        if self.strict:
            self.error(pointer, f"the schema takes no such value: {message}")

    def remark(self, pointer: str, message: str) -> None:
        """Note something that is right but may surprise; strict reading says nothing about it."""
        if not self.strict and len(self.warnings) < MOST:
            line, column = self.place(pointer)
            self.warnings.append(Warning_(pointer=pointer, message=_shortened(message), line=line, column=column))


def stopped(errors: Iterable[DefinitionIssue]) -> DefinitionIssue:
    """Return what stands after the last mistake that is reported."""
    line, column = max((error.line, error.column) for error in errors)
    return DefinitionIssue(
        pointer="", line=line, column=column, message=f"there may be more: reading stopped after {MOST} mistakes"
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 1000 else text[:997] + "..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word[:80], names[:1000], n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    more = ", ..." if len(names) > 20 else ""
    return f"known: {', '.join(names[:20])}{more}" if names else ""
