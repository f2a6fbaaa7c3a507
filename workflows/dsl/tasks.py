"""Readers of tasks: one per word of the DSL."""

from collections.abc import Callable, Mapping
from typing import Any

from workflows.dsl import events, policies, resources, shapes
from workflows.dsl.calls import CALLS, RUNS, call_arguments, run_arguments
from workflows.dsl.dialect import official
from workflows.dsl.expression import Expression, Literal
from workflows.dsl.issues import did_you_mean
from workflows.dsl.jsontext import Json
from workflows.dsl.model import (
    CallTask,
    Catch,
    DoTask,
    EmitTask,
    ErrorTemplate,
    ForkTask,
    ForTask,
    ListenTask,
    NothingTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchCase,
    SwitchTask,
    Task,
    TaskList,
    TryTask,
    WaitTask,
)
from workflows.dsl.position import below
from workflows.dsl.shapes import Context

_SHARED = ("if", "input", "output", "export", "timeout", "then", "metadata")
POSITION_LIMIT = 1000
"""Characters of a task's pointer, which stands in each row of its history."""

_DIRECTIVES = ("continue", "exit", "end")

Reader = Callable[[Context, dict[str, Json], str, dict[str, Any]], Task]


def task_list(context: Context, value: Json, pointer: str) -> TaskList:
    """Return a list of tasks: an array of objects with one member each."""
    found: list[Task] = []
    indexes: dict[str, int] = {}
    for index, item in enumerate(shapes.items(context, value, pointer, "a list of tasks")):
        place = below(pointer, index)
        if not isinstance(item, dict) or len(item) != 1:
            _complain_item(context, item, place)
            continue
        [(name, body)] = item.items()
        _check_name(context, name, below(place, name))
        if name in indexes:
            context.issues.error(below(place, name), f"there is a task {name!r} in this list already", "rename one")
        indexes.setdefault(name, len(found))
        found.append(task(context, name, body, below(place, name)))
    tasks = TaskList(tasks=tuple(found), position=pointer, indexes=indexes)
    for each in tasks:
        _check_targets(context, each, tasks)
    return tasks


def _complain_item(context: Context, item: Json, pointer: str) -> None:
    count, hint = shapes.kind_of(item), "- name: {...}"
    if isinstance(item, dict):
        count = f"one with {len(item)}"
        own = [key for key in item if key in _READERS or key in _SHARED]
        if own:
            hint = f"indent {own[0]!r} below the name of its task"
        elif item:
            hint = "begin each task with its own dash"
    context.issues.error(pointer, f"an item is an object with one task, not {count}", hint)


def _then(context: Context, value: Json, pointer: str) -> str:
    target = shapes.text(context, value, pointer, "then")
    if value == "":
        context.issues.error(pointer, "there is no task '' to go on with", f"name one, or say {', '.join(_DIRECTIVES)}")
    return target or "continue"


def _check_name(context: Context, name: str, pointer: str) -> None:
    if "\0" in name:
        context.issues.error(pointer, "the name of a task holds a NUL character")
    if len(pointer) > POSITION_LIMIT:
        context.issues.error(pointer, f"the position of this task has more than {POSITION_LIMIT} characters")


def _check_targets(context: Context, each: Task, tasks: TaskList) -> None:
    targets = [(each.then, below(each.position, "then"))]
    if isinstance(each, SwitchTask):
        for index, case in enumerate(each.cases):
            targets.append((case.then, f"{each.position}/switch/{index}/{case.name}/then"))
    for target, place in targets:
        if target is not None and target not in _DIRECTIVES and target not in tasks.indexes:
            hint = did_you_mean(target, (*tasks.indexes, *_DIRECTIVES))
            context.issues.error(place, f"there is no task {target!r} in this list to go on with", hint)


def task(context: Context, name: str, body: Json, pointer: str) -> Task:
    """Return one task."""
    if body is None:
        context.issues.warn(pointer, f"the task {name!r} is empty and does nothing; write e.g. do: []")
        return NothingTask(name=name, position=pointer, source={})
    if not isinstance(body, dict):
        context.issues.error(pointer, f"a task is an object, not {shapes.kind_of(body)}")
        return NothingTask(name=name, position=pointer, source={})
    body = official(context, body, pointer)
    words = [word for word in _READERS if word in body]
    if "for" in words:
        words.remove("do") if "do" in words else None
    if len(words) != 1:
        _complain(context, name, body, words, pointer)
        return NothingTask(name=name, position=pointer, source=body)
    reader, own = _READERS[words[0]]
    shapes.members(context, body, pointer, f"a {words[0]} task", (*own, *_SHARED))
    return reader(context, body, pointer, _shared(context, name, body, pointer))


def _complain(context: Context, name: str, body: dict[str, Json], words: list[str], pointer: str) -> None:
    if words:
        context.issues.error(
            pointer, f"a task does one thing, not {' and '.join(words)}", "make tasks of their own of them"
        )
        return
    unknown = [key for key in body if key not in _SHARED]
    hint = did_you_mean(unknown[0], _READERS) if unknown else f"one of {', '.join(_READERS)}"
    if name in _READERS:
        hint = f"a task begins with its name: - name: {{{name}: ...}}"
    what = f"{unknown[0]!r} is no task" if unknown else "nothing says what the task does"
    context.issues.error(below(pointer, unknown[0]) if unknown else pointer, what, hint)


def _shared(context: Context, name: str, body: dict[str, Json], pointer: str) -> dict[str, Any]:
    def place(key: str) -> str:
        return below(pointer, key)

    shared: dict[str, Any] = {"name": name, "position": pointer, "source": body}
    if "if" in body:
        shared["if_"] = shapes.expression(context, body["if"], place("if"), "if")
    if "input" in body:
        shared["input"] = resources.input_of(context, body["input"], place("input"))
    if "output" in body:
        shared["output"] = resources.output_of(context, body["output"], place("output"))
    if "export" in body:
        shared["export"] = resources.export_of(context, body["export"], place("export"))
    if "timeout" in body:
        shared["timeout"] = shapes.timeout(context, body["timeout"], place("timeout"))
    if "then" in body:
        shared["then"] = _then(context, body["then"], place("then"))
    if "metadata" in body:
        shared["metadata"] = shapes.members(context, body["metadata"], place("metadata"), "metadata")
    return shared


def _call(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "call")
    call = shapes.text(context, body["call"], place, "call")
    if body["call"] == "":
        context.issues.error(place, "there is no function ''", "name one, or a protocol, e.g. http")
    given, with_place = body.get("with", {}), below(pointer, "with")
    if call in CALLS:
        if "with" not in body:
            context.issues.error(pointer, f"call: {call} lacks its arguments, `with`")
        return CallTask(call=call, with_=call_arguments(context, call, given, with_place), **shared)
    if shapes.is_expression(given):
        context.issues.strictly(with_place, "`with` is an object, not an expression")
    else:
        shapes.members(context, given, with_place, "with")
    arguments = shapes.template(context, given, with_place)
    return CallTask(call=call, with_=arguments, function=context.functions.get(call), **shared)


def _do(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    return DoTask(do=task_list(context, body["do"], below(pointer, "do")), **shared)


def _emit(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "emit")
    inner = shapes.members(context, body["emit"], place, "emit", ("event",), ("event",))
    return EmitTask(event=events.event(context, inner.get("event", {}), below(place, "event")), **shared)


def _for(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "for")
    known = ("each", "in", "at", "parallel", "maxConcurrency")
    inner = shapes.members(context, body["for"], place, "for", known, ("in",))
    most = inner.get("maxConcurrency")
    for key in ("parallel", "maxConcurrency"):
        if key in inner:
            context.issues.warn(below(place, key), f"{key} is an extension of this runtime")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        context.issues.error(below(place, "maxConcurrency"), "maxConcurrency is a whole number from 1 on")
        most = None
    if "do" not in body:
        context.issues.error(pointer, "a for task lacks 'do'")
    parallel = inner.get("parallel", False)
    return ForTask(
        in_=shapes.expression(context, inner.get("in", "[]"), below(place, "in"), "in"),
        each=shapes.text(context, inner.get("each", "item"), below(place, "each"), "each"),
        at=shapes.text(context, inner.get("at", "index"), below(place, "at"), "at"),
        while_=shapes.expression(context, body["while"], below(pointer, "while"), "while") if "while" in body else None,
        do=task_list(context, body.get("do", []), f"{pointer}/for/do"),
        parallel=shapes.boolean(context, parallel, below(place, "parallel"), "parallel"),
        max_concurrency=most,
        **shared,
    )


def _fork(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "fork")
    inner = shapes.members(context, body["fork"], place, "fork", ("branches", "compete"), ("branches",))
    compete = inner.get("compete", False)
    return ForkTask(
        branches=task_list(context, inner.get("branches", []), below(place, "branches")),
        compete=shapes.boolean(context, compete, below(place, "compete"), "compete"),
        **shared,
    )


def _listen(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "listen")
    inner = shapes.members(context, body["listen"], place, "listen", ("to", "read"), ("to",))
    read = shapes.choice(context, inner.get("read", "data"), below(place, "read"), "read", ("data", "envelope", "raw"))
    to = events.strategy(context, inner.get("to", {"any": []}), below(place, "to"))
    place = below(pointer, "foreach")
    return ListenTask(
        to=to,
        read=read,
        foreach=events.iterator(context, body["foreach"], place, task_list) if "foreach" in body else None,
        **shared,
    )


def _raise(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "raise")
    inner = shapes.members(context, body["raise"], place, "raise", ("error",), ("error",))
    found, where = shapes.named_or_inline(context, inner.get("error", {}), below(place, "error"), "errors", "error")
    known = ("type", "status", "title", "detail", "instance")
    is_missing = isinstance(inner.get("error"), str) and inner["error"] not in context.section("errors")
    error = shapes.members(context, found, where, "an error", known, () if is_missing else ("type", "status"))
    status = error.get("status", 500)
    policies.check_status(context, status, below(where, "status"))
    for key in ("type", "title", "detail", "instance"):
        if key in error:
            shapes.text(context, error[key], below(where, key), key)
    if not resources.is_uri(str(error.get("type", "${ . }"))):
        context.issues.strictly(below(where, "type"), "type is an absolute URI or an expression")
    parts = {key: shapes.template(context, value, below(where, key)) for key, value in error.items() if key in known}
    template = ErrorTemplate(
        type=parts.get("type", Literal("about:blank")), status=parts.get("status", Literal(500)),
        title=parts.get("title"), detail=parts.get("detail"), instance=parts.get("instance"),
    )  # fmt: skip
    return RaiseTask(error=template, **shared)


def _run(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "run")
    inner = shapes.members(context, body["run"], place, "run", (*RUNS, "await", "return"))
    sorts = [sort for sort in RUNS if sort in inner]
    if len(sorts) != 1:
        context.issues.error(place, f"run says one of {', '.join(RUNS)}")
        return NothingTask(**shared)
    [sort] = sorts
    awaited, result = inner.get("await", True), inner.get("return", "stdout")
    words = ("stdout", "stderr", "code", "all", "none")
    return RunTask(
        run=sort,
        with_=run_arguments(context, sort, inner[sort], below(place, sort)),
        await_=shapes.boolean(context, awaited, below(place, "await"), "await"),
        return_=shapes.choice(context, result, below(place, "return"), "return", words),
        **shared,
    )


def _set(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    value, place = body["set"], below(pointer, "set")
    if not isinstance(value, dict | str):
        context.issues.warn(place, f"set gives an object or an expression; {shapes.kind_of(value)} is taken as it is")
    elif value == {}:
        context.issues.error(place, "set gives at least one member")
    return SetTask(value=shapes.template(context, value, place), **shared)


def _switch(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    place = below(pointer, "switch")
    cases: list[SwitchCase] = []
    found = shapes.items(context, body["switch"], place, "switch")
    if not found:
        context.issues.error(place, "a switch has at least one case")
    for index, item in enumerate(found):
        where = below(place, index)
        if not isinstance(item, dict) or len(item) != 1:
            context.issues.error(
                where, "a case is an object with one member, its name", "- name: {when: ..., then: ...}"
            )
            continue
        [(name, case)] = item.items()
        cases.append(_case(context, name, case, below(where, name)))
    if sum(case.when is None for case in cases) > 1:
        context.issues.error(place, "two cases have no `when`: only one can be the default")
    return SwitchTask(cases=tuple(cases), **shared)


def _case(context: Context, name: str, value: Json, pointer: str) -> SwitchCase:
    inner = shapes.members(context, value, pointer, "a case", ("when", "then"), ("then",))
    return SwitchCase(
        name=name,
        then=_then(context, inner.get("then", "continue"), below(pointer, "then")),
        when=shapes.expression(context, inner["when"], below(pointer, "when"), "when") if "when" in inner else None,
    )


def _try(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    if "catch" not in body:
        context.issues.error(pointer, "a try task lacks 'catch'")
    tasks = task_list(context, body["try"], below(pointer, "try"))
    return TryTask(try_=tasks, catch=_catch(context, body.get("catch", {}), below(pointer, "catch")), **shared)


def _catch(context: Context, value: Json, pointer: str) -> Catch:
    known = ("errors", "as", "when", "exceptWhen", "retry", "do")
    inner = shapes.members(context, value, pointer, "catch", known)

    def optional(key: str) -> Expression | None:
        return shapes.expression(context, inner[key], below(pointer, key), key) if key in inner else None

    return Catch(
        errors=policies.error_filter(context, inner["errors"], below(pointer, "errors")) if "errors" in inner else None,
        as_=shapes.text(context, inner.get("as", "error"), below(pointer, "as"), "as"),
        when=optional("when"),
        except_when=optional("exceptWhen"),
        retry=policies.retry_policy(context, inner["retry"], below(pointer, "retry")) if "retry" in inner else None,
        do=task_list(context, inner["do"], below(pointer, "do")) if "do" in inner else None,
    )


def _wait(context: Context, body: dict[str, Json], pointer: str, shared: dict[str, Any]) -> Task:
    return WaitTask(duration=shapes.duration(context, body["wait"], below(pointer, "wait")), **shared)


_READERS: Mapping[str, tuple[Reader, tuple[str, ...]]] = {
    "call": (_call, ("call", "with")),
    "do": (_do, ("do",)),
    "emit": (_emit, ("emit",)),
    "for": (_for, ("for", "while", "do")),
    "fork": (_fork, ("fork",)),
    "listen": (_listen, ("listen", "foreach")),
    "raise": (_raise, ("raise",)),
    "run": (_run, ("run",)),
    "set": (_set, ("set",)),
    "switch": (_switch, ("switch",)),
    "try": (_try, ("try", "catch")),
    "wait": (_wait, ("wait",)),
}
"""Words to the reader of such a task and its own members."""
