"""What must hold across a definition: names that are called, secrets that are declared."""

from collections.abc import Callable, Iterable, Iterator

from workflows.dsl.calls import CALLS
from workflows.dsl.issues import Issues, did_you_mean
from workflows.dsl.model import (
    CallTask,
    Definition,
    DoTask,
    ForkTask,
    ForTask,
    ListenTask,
    RunTask,
    Task,
    TaskList,
    TryTask,
    Use,
)
from workflows.dsl.position import below


def walk(tasks: TaskList, use: Use) -> Iterator[Task]:
    """Yield every task of a document, those of functions and extensions included."""
    yield from _under(tasks)
    for function in use.functions.values():
        yield from _with_children(function)
    for extension in use.extensions:
        for part in (extension.before, extension.after):
            if part is not None:
                yield from _under(part)


def _under(tasks: Iterable[Task]) -> Iterator[Task]:
    for each in tasks:
        yield from _with_children(each)


def _with_children(task: Task) -> Iterator[Task]:
    yield task
    for tasks in _lists(task):
        yield from _under(tasks)


def _lists(task: Task) -> Iterator[TaskList]:
    match task:
        case DoTask(do=tasks) | ForTask(do=tasks) | ForkTask(branches=tasks):
            yield tasks
        case TryTask():
            yield task.try_
            if task.catch.do is not None:
                yield task.catch.do
        case ListenTask(foreach=foreach) if foreach is not None and foreach.do is not None:
            yield foreach.do
        case _:
            return


def check(definition: Definition, issues: Issues, functions: Callable[[str], object | None] | None) -> None:
    """Note names that point nowhere, and what can be read but not be run yet."""
    for each in definition.tasks.values():
        if isinstance(each, CallTask) and each.call not in CALLS and each.call:
            _check_function(each, definition, issues, functions)
        if what := _unsupported(each):
            issues.remark(each.position, f"{what} cannot be run yet: the task faults with a configuration problem")


def _unsupported(task: Task) -> str:
    match task:
        case CallTask(call="grpc" | "asyncapi" | "a2a" | "mcp" as call):
            return f"call: {call}"
        case CallTask(call=call) if "@" in call:
            return "a function of a catalog"
        case RunTask(run="container"):
            return "run: container"
        case _:
            return ""


def _check_function(
    task: CallTask, definition: Definition, issues: Issues, functions: Callable[[str], object | None] | None
) -> None:
    place = below(task.position, "call")
    use = definition.use
    name, _, catalog = task.call.partition("@")
    if catalog:
        if catalog != "default" and catalog not in use.catalogs:
            issues.error(place, f"there is no catalog {catalog!r} in use.catalogs", did_you_mean(catalog, use.catalogs))
        return
    if name in use.functions or functions is None or functions(name) is not None:
        return
    hint = did_you_mean(name, (*use.functions, *CALLS))
    issues.error(place, f"there is no function {name!r}: neither in use.functions nor registered in Python", hint)
