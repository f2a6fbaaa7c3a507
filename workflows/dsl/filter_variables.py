"""Variables in event filters: one that nobody binds would let the task fault when it begins, a month later maybe."""

from collections.abc import Iterator

from workflows.dsl.expression import variables
from workflows.dsl.issues import did_you_mean
from workflows.dsl.model import Definition, ForTask, ListenTask, Task, TryTask
from workflows.dsl.shapes import Context

_DESCRIPTORS = frozenset(
    ("context", "input", "output", "secrets", "secret", "task", "workflow", "runtime", "authorization")
)
"""What an expression sees anywhere."""

_SECRETS = frozenset(("secrets", "secret"))


def check(context: Context, definition: Definition) -> None:
    """Note variables that no task binds, and secrets, which nothing can be compared with.

    Which tasks stand around a filter is not looked at: a name that is bound anywhere will do.
    """
    known = _DESCRIPTORS.union(*map(_bound_by, definition.tasks.values()))
    for pointer, expression in context.filters:
        if "$" in expression.text:
            for name in sorted(variables(expression)):
                if pointer.startswith("/schedule"):
                    context.issues.error(pointer, f"${name} is not known before there is an instance")
                elif name in _SECRETS:
                    context.issues.error(pointer, "a secret cannot be compared with what an event says")
                elif name not in known:
                    context.issues.error(pointer, f"nothing binds ${name}", did_you_mean(name, sorted(known)))


def _bound_by(task: Task) -> Iterator[str]:
    match task:
        case ForTask():
            yield from (task.each, task.at)
        case TryTask():
            yield task.catch.as_
        case ListenTask(foreach=foreach) if foreach is not None:
            yield from (foreach.item, foreach.at)
        case _:
            return
