"""Mistakes in a definition: what is wrong, where, and what to do about it. All of them are reported at once."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.dsl.model import Warning_

Mark = tuple[int, int]
"""Line and column, from 1."""


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

    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Pointer to the place of its value."""

    strict: bool = False
    """Whether what is merely questionable is an error."""

    errors: list[DefinitionIssue] = field(default_factory=list)
    warnings: list[Warning_] = field(default_factory=list)

    def error(self, pointer: str, message: str, hint: str = "") -> None:
        """Note a mistake."""
        line, column = self.place(pointer)
        issue = DefinitionIssue(pointer=pointer, line=line, column=column, message=message, hint=hint)
        if issue not in self.errors:
            self.errors.append(issue)

    def warn(self, pointer: str, message: str) -> None:
        """Note something that is accepted, unless the definition is read strictly."""
        if self.strict:
            self.error(pointer, message)
            return
        line, column = self.place(pointer)
        self.warnings.append(Warning_(pointer=pointer, message=message, line=line, column=column))

    def place(self, pointer: str) -> Mark:
        """Return where a value stands, or what it is in. Positions say `for/do`, documents `do` beside `for`."""
        pointer = pointer if pointer in self.marks else pointer.replace("/for/do/", "/do/")
        while pointer not in self.marks and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.marks.get(pointer, (1, 1))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(names)}" if names else ""
