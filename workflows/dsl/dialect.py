"""Older and foreign spellings of tasks, rewritten to the DSL, each with a warning that names the official one."""

from workflows.dsl.jsontext import Json
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
    return {**body, "for": loop}
