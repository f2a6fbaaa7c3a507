"""Problems: what goes wrong in a workflow, as RFC 7807 values. They cross processes as JSON."""

import msgspec

BASE = "https://serverlessworkflow.io/spec/1.0.0/errors/"
ALIAS_BASE = "https://serverlessworkflow.io/dsl/errors/types/"
"""The conformance features write this base; filters accept it as the same."""

STATUSES = {
    "configuration": 400,
    "validation": 400,
    "expression": 400,
    "authentication": 401,
    "authorization": 403,
    "timeout": 408,
    "communication": 500,
    "runtime": 500,
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error of the DSL: type, status, title, detail, instance."""

    type: str
    """URI of the sort of problem."""

    status: int
    title: str | None = None
    detail: str | None = None
    instance: str | None = None
    """JSON pointer of the task; filled in by the engine."""


def problem(name: str, detail: str, *, status: int | None = None, title: str | None = None) -> Problem:
    """Return a problem of one of the standard types, named by the last part of its URI."""
    return Problem(
        type=BASE + name,
        status=STATUSES[name] if status is None else status,
        title=title or f"{name.capitalize()} error",
        detail=detail,
    )


class ProblemError(Exception):
    """Carries a problem up to the frame that turns it into a value. Never crosses a module's public door."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.type)
        self.problem = problem
