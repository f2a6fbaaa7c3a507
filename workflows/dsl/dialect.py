"""Older and foreign spellings of tasks, rewritten to the DSL, each with a warning that names the official one."""

import re
from typing import Any

from workflows.dsl.jsontext import Json, encode
from workflows.dsl.position import below
from workflows.dsl.shapes import Context

_PROTOCOLS = {
    "callHTTP": "http",
    "callOpenAPI": "openapi",
    "callGRPC": "grpc",
    "callAsyncAPI": "asyncapi",
    "callFunction": "",
}


def official(context: Context, body: dict[str, Json], pointer: str) -> dict[str, Json]:
    """Return a task as the DSL spells it; the body itself when it does already."""
    for word, protocol in _PROTOCOLS.items():
        if word in body:
            body = _call(context, body, word, protocol, pointer)
    if isinstance(body.get("for"), dict):
        body = _for(context, body, pointer)
    return body


def _call(context: Context, body: dict[str, Json], word: str, protocol: str, pointer: str) -> dict[str, Json]:
    given = body[word]
    rest = {key: value for key, value in body.items() if key != word}
    if not isinstance(given, dict):
        return body
    if not protocol:
        context.issues.warn(below(pointer, word), f"{word} is spelled call: <function> with its arguments in `with`")
        return {"call": given.get("function", ""), "with": given.get("with", given.get("arguments", {})), **rest}
    context.issues.warn(below(pointer, word), f"{word} is spelled call: {protocol} with its arguments in `with`")
    arguments = dict(given)
    if protocol == "http" and "url" in arguments:
        arguments = {"endpoint": arguments.pop("url"), **arguments}
    if protocol == "http" and isinstance(arguments.get("method"), str):
        arguments["method"] = arguments["method"].lower()
    return {"call": protocol, "with": arguments, **rest}


def _for(context: Context, body: dict[str, Json], pointer: str) -> dict[str, Json]:
    loop, place = dict(body["for"]), below(pointer, "for")
    for old, new in (("iterator", "in"), ("items", "in"), ("as", "each")):
        if old in loop and new not in loop:
            context.issues.warn(below(place, old), f"for.{old} is spelled for.{new}")
            loop[new] = loop.pop(old)
    if "do" in loop and "do" not in body:
        context.issues.warn(below(place, "do"), "the tasks of a loop stand in `do` beside `for`, not in it")
        body = {**body, "do": loop.pop("do")}
    if "as" in body["for"] and isinstance(loop.get("each"), str):
        body = {**body, "do": _reaching(context, body.get("do"), loop["each"], place)}
    return {**body, "for": loop}


def _reaching(context: Context, tasks: Json, name: str, place: str) -> Json:
    """Return tasks that find the item in their input too, as `.name`, where they look for it there."""
    mention = re.compile(rf"(?<![\w$.\])\"?])\.{re.escape(name)}(?!\w)")
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or not mention.search(_text(tasks)):
        return tasks
    context.issues.warn(below(place, "as"), f"the item is read as ${name}, not as .{name}")
    merged = f'(if type == "object" then . else {{}} end) + {{{name}: ${name}}}'
    return _given(tasks, mention, merged)


def _given(tasks: Json, mention: "re.Pattern[str]", merged: str) -> Json:
    if not isinstance(tasks, list):
        return tasks
    return [
        {key: _task_given(body, mention, merged) for key, body in item.items()} if isinstance(item, dict) else item
        for item in tasks
    ]


def _task_given(body: Any, mention: "re.Pattern[str]", merged: str) -> Any:
    if not isinstance(body, dict):
        return body
    inner = {key: _given(value, mention, merged) for key, value in body.items() if key in ("do", "try")}
    for key, member in (("fork", "branches"), ("catch", "do"), ("for", "do")):
        if isinstance(body.get(key), dict) and member in body[key]:
            inner[key] = {**body[key], member: _given(body[key][member], mention, merged)}
    own = {key: value for key, value in body.items() if key not in inner}
    if not mention.search(_text(own)):
        return {**body, **inner}
    stage = body.get("input")
    before = stage.get("from") if isinstance(stage, dict) else None
    if before is not None and not isinstance(before, str):
        return {**body, **inner}
    rest = f" | ({_bare(before)})" if before else ""
    whole = {"from": f"${{ {merged}{rest} }}"}
    return {**body, **inner, "input": {**stage, **whole} if isinstance(stage, dict) else whole}


def _bare(expression: str) -> str:
    match = re.fullmatch(r"\s*\$\{(.*)\}\s*", expression, re.DOTALL)
    return match[1].strip() if match else expression


def _text(value: Json) -> str:
    return encode(value).decode()
