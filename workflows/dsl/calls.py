"""Readers of what `call` and `run` ask for."""

import re
from collections.abc import Callable, Mapping

from workflows.dsl import events, resources, shapes
from workflows.dsl.expression import Literal, Template
from workflows.dsl.issues import did_you_mean
from workflows.dsl.jsontext import Json
from workflows.dsl.position import below
from workflows.dsl.shapes import Context

Read = Callable[[Context, Json, str], Template]

_HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?")
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace", "connect")
_PROTOCOLS = (
    "amqp",
    "amqp1",
    "anypointmq",
    "googlepubsub",
    "http",
    "ibmmq",
    "jms",
    "kafka",
    "mercure",
    "mqtt",
    "mqtt5",
    "nats",
    "pulsar",
    "redis",
    "sns",
    "solace",
    "sqs",
    "stomp",
    "ws",
)
_A2A = (
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
)
_MCP = (
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
)


def _any(context: Context, value: Json, pointer: str) -> Template:
    return shapes.template(context, value, pointer)


def _text(context: Context, value: Json, pointer: str) -> Template:
    shapes.text(context, value, pointer, "this")
    return shapes.template(context, value, pointer)


def _object(context: Context, value: Json, pointer: str) -> Template:
    if not _is_expression(context, value, pointer, "an object"):
        shapes.members(context, value, pointer, "this")
    return shapes.template(context, value, pointer)


def _parameters(context: Context, value: Json, pointer: str) -> Template:
    if not isinstance(value, str):
        shapes.members(context, value, pointer, "parameters")
    return shapes.template(context, value, pointer)


def _input(context: Context, value: Json, pointer: str) -> Template:
    if not isinstance(value, dict):
        context.issues.strictly(pointer, "input is an object")
    return shapes.template(context, value, pointer)


def _is_expression(context: Context, value: Json, pointer: str, what: str) -> bool:
    """Return whether a value is an expression, where the schema has no place for one."""
    if not shapes.is_expression(value):
        return False
    context.issues.strictly(pointer, f"this is {what}, not an expression")
    return True


def _strings(context: Context, value: Json, pointer: str) -> Template:
    """An object of texts. Numbers and booleans are taken too: they are sent as they are spelled."""
    if not shapes.is_expression(value):
        for key, member in shapes.members(context, value, pointer, "this").items():
            if isinstance(member, dict | list):
                context.issues.error(below(pointer, key), f"this is a text, not {shapes.kind_of(member)}")
            elif not isinstance(member, str):
                context.issues.strictly(below(pointer, key), "this is a text")
    return shapes.template(context, value, pointer)


def _only_strings(context: Context, value: Json, pointer: str) -> Template:
    """The same, and the schema has no place for an expression."""
    _is_expression(context, value, pointer, "an object of texts")
    return _strings(context, value, pointer)


def _arguments(context: Context, value: Json, pointer: str) -> Template:
    if isinstance(value, dict):
        context.issues.strictly(pointer, "arguments are an array of texts")
    elif not _is_expression(context, value, pointer, "an array of texts"):
        for index, item in enumerate(shapes.items(context, value, pointer, "arguments")):
            if not isinstance(item, str):
                context.issues.strictly(below(pointer, index), "an argument is a text")
    return shapes.template(context, value, pointer)


def _boolean(context: Context, value: Json, pointer: str) -> Template:
    if _is_expression(context, value, pointer, "true or false"):
        return shapes.template(context, value, pointer)
    return Literal(shapes.boolean(context, value, pointer, "this"))


def _one_of(*words: str) -> Read:
    def read(context: Context, value: Json, pointer: str) -> Template:
        if _is_expression(context, value, pointer, f"one of {', '.join(words)}"):
            return shapes.template(context, value, pointer)
        return Literal(shapes.choice(context, value, pointer, "this", words))

    return read


def _method(context: Context, value: Json, pointer: str) -> Template:
    source = shapes.text(context, value, pointer, "a method")
    if source and not shapes.is_expression(source):
        if source.lower() not in _METHODS:
            context.issues.error(pointer, f"{source[:80]!r} is no HTTP method", did_you_mean(source.lower(), _METHODS))
        return Literal(source)
    return shapes.template(context, source, pointer)


def _endpoint(context: Context, value: Json, pointer: str) -> Template:
    return resources.endpoint_object(resources.endpoint(context, value, pointer))


def _resource(context: Context, value: Json, pointer: str) -> Template:
    return resources.resource_object(resources.resource(context, value, pointer))


def _duration(context: Context, value: Json, pointer: str) -> Template:
    shapes.duration(context, value, pointer)
    return shapes.template(context, value, pointer)


def _port(context: Context, value: Json, pointer: str) -> Template:
    if not _is_expression(context, value, pointer, "a number"):
        is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535
        if not is_number:
            context.issues.error(pointer, "a port is a whole number from 0 to 65535")
    return shapes.template(context, value, pointer)


def _host(context: Context, value: Json, pointer: str) -> Template:
    if not _HOST.fullmatch(shapes.text(context, value, pointer, "a host")):
        context.issues.strictly(pointer, "a host consists of letters, digits, dots and hyphens")
    return shapes.template(context, value, pointer)


def _server(context: Context, value: Json, pointer: str) -> Template:
    return fields_of(context, value, pointer, "a server", {"name": _text, "variables": _object}, ("name",))


def _client(context: Context, value: Json, pointer: str) -> Template:
    inner = shapes.members(context, value, pointer, "a client", None, ("name", "version"))
    for key in ("name", "description"):
        if key in inner:
            shapes.text(context, inner[key], below(pointer, key), key)
    return shapes.template(context, value, pointer)


def _grpc_service(context: Context, value: Json, pointer: str) -> Template:
    fields = {"name": _text, "host": _host, "port": _port, "authentication": resources.authentication}
    return fields_of(context, value, pointer, "a gRPC service", fields, ("name", "host"))


def _message(context: Context, value: Json, pointer: str) -> Template:
    return fields_of(context, value, pointer, "a message", {"payload": _object, "headers": _object}, ())


def _subscription(context: Context, value: Json, pointer: str) -> Template:
    known = ("filter", "consume", "foreach")
    inner = shapes.members(context, value, pointer, "a subscription", known, ("consume",))
    place = below(pointer, "consume")
    consume = shapes.members(
        context, inner.get("consume", {"amount": 1}), place, "consume", ("for", "amount", "while", "until")
    )
    if len({"amount", "while", "until"} & set(consume)) != 1:
        context.issues.error(place, "consume says one of amount, while and until")
    amount = consume.get("amount", 1)
    if isinstance(amount, bool) or not isinstance(amount, int):
        context.issues.error(below(place, "amount"), "amount is a whole number")
    for key in ("while", "until"):
        if key in consume:
            shapes.expression(context, consume[key], below(place, key), key)
    if "for" in consume:
        shapes.duration(context, consume["for"], below(place, "for"))
    if "foreach" in inner and context.read_tasks is not None:
        events.iterator(context, inner["foreach"], below(pointer, "foreach"), context.read_tasks)
    if "filter" in inner:
        shapes.expression(context, inner["filter"], below(pointer, "filter"), "filter")
    return shapes.template(context, {key: inner[key] for key in inner if key != "foreach"}, pointer)


def _transport(context: Context, value: Json, pointer: str) -> Template:
    inner = shapes.members(context, value, pointer, "a transport", ("http", "stdio", "options"))
    if len({"http", "stdio"} & set(inner)) != 1:
        context.issues.error(pointer, "a transport is either http or stdio")
    http: Mapping[str, Read] = {"endpoint": _endpoint, "headers": _only_strings}
    stdio: Mapping[str, Read] = {"command": _text, "arguments": _arguments, "environment": _only_strings}
    pairs = []
    if "http" in inner:
        place = below(pointer, "http")
        pairs.append(("http", fields_of(context, inner["http"], place, "an http transport", http, ("endpoint",))))
    if "stdio" in inner:
        place = below(pointer, "stdio")
        pairs.append(("stdio", fields_of(context, inner["stdio"], place, "a stdio transport", stdio, ("command",))))
    if "options" in inner:
        pairs.append(("options", _only_strings(context, inner["options"], below(pointer, "options"))))
    return shapes.object_of(pairs)


_OUTPUT = _one_of("content", "raw", "response")

CALLS: Mapping[str, tuple[Mapping[str, Read], tuple[str, ...]]] = {
    "http": (
        {
            "method": _method, "endpoint": _endpoint, "headers": _strings, "query": _strings, "body": _any,
            "output": _OUTPUT, "redirect": _boolean,
        },
        ("method", "endpoint"),
    ),
    "openapi": (
        {
            "document": _resource, "operationId": _text, "parameters": _object,
            "authentication": resources.authentication, "output": _OUTPUT, "redirect": _boolean,
        },
        ("document", "operationId"),
    ),
    "grpc": (
        {"proto": _resource, "service": _grpc_service, "method": _text, "arguments": _object},
        ("proto", "service", "method"),
    ),
    "asyncapi": (
        {
            "document": _resource, "channel": _text, "operation": _text, "server": _server,
            "protocol": _one_of(*_PROTOCOLS), "message": _message, "subscription": _subscription,
            "authentication": resources.authentication,
        },
        ("document",),
    ),
    "a2a": (
        {"agentCard": _resource, "server": _endpoint, "method": _one_of(*_A2A), "parameters": _parameters},
        ("method",),
    ),
    "mcp": (
        {
            "protocolVersion": _text, "method": _one_of(*_MCP), "parameters": _parameters, "timeout": _duration,
            "transport": _transport, "client": _client,
        },
        ("method", "transport"),
    ),
}  # fmt: skip
"""Members of `with` per protocol, and those that must be there."""

RUNS: Mapping[str, tuple[Mapping[str, Read], tuple[str, ...]]] = {
    "container": (
        {
            "image": _text, "name": _text, "command": _text, "ports": _object, "volumes": _object,
            "environment": _object, "stdin": _text, "arguments": _arguments, "lifetime": _object,
            "pullPolicy": _one_of("ifNotPresent", "always", "never"),
        },
        ("image",),
    ),
    "script": (
        {
            "language": _text, "code": _text, "source": _resource, "stdin": _text, "arguments": _arguments,
            "environment": _object,
        },
        ("language",),
    ),
    "shell": (
        {"command": _text, "stdin": _text, "arguments": _arguments, "environment": _object},
        ("command",),
    ),
    "workflow": (
        {"namespace": _text, "name": _text, "version": _text, "input": _input},
        ("namespace", "name"),
    ),
}  # fmt: skip
"""Members of each sort of process, and those that must be there."""


def fields_of(
    context: Context, value: Json, pointer: str, what: str, fields: Mapping[str, Read], required: tuple[str, ...]
) -> Template:
    """Return an object whose members each have a reader."""
    inner = shapes.members(context, value, pointer, what, fields, required)
    return shapes.object_of(
        (key, fields[key](context, member, below(pointer, key))) for key, member in inner.items() if key in fields
    )


def call_arguments(context: Context, call: str, value: Json, pointer: str) -> Template:
    """Return the arguments of one of the DSL's protocols."""
    fields, required = CALLS[call]
    found = fields_of(context, value, pointer, f"call: {call}", fields, required)
    if call == "asyncapi" and isinstance(value, dict):
        if len({"operation", "channel"} & set(value)) != 1:
            context.issues.error(pointer, "call: asyncapi names either an operation or a channel")
        if len({"message", "subscription"} & set(value)) != 1:
            context.issues.error(pointer, "call: asyncapi has either a message or a subscription")
    return found


def run_arguments(context: Context, run: str, value: Json, pointer: str) -> Template:
    """Return what a process is started with."""
    fields, required = RUNS[run]
    found = fields_of(context, value, pointer, f"run: {run}", fields, required)
    if run == "script" and isinstance(value, dict) and len({"code", "source"} & set(value)) != 1:
        context.issues.error(pointer, "a script has either code or a source")
    if run == "workflow" and isinstance(value, dict) and "version" not in value:
        context.issues.strictly(pointer, "a workflow lacks its version")
    if run == "container" and isinstance(value, dict) and isinstance(value.get("lifetime"), dict):
        _check_lifetime(context, value["lifetime"], below(pointer, "lifetime"))
    return found


def _check_lifetime(context: Context, value: Json, pointer: str) -> None:
    inner = shapes.members(context, value, pointer, "a lifetime", ("cleanup", "after"), ("cleanup",))
    cleanup = shapes.choice(
        context, inner.get("cleanup"), below(pointer, "cleanup"), "cleanup", ("always", "never", "eventually")
    )
    if (cleanup == "eventually") != ("after" in inner):
        context.issues.error(pointer, "`after` goes with cleanup: eventually, and only with it")
    if "after" in inner:
        shapes.duration(context, inner["after"], below(pointer, "after"))
