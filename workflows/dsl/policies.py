"""Readers of what a `catch` says: which problems, and when to try again."""

from collections.abc import Mapping
from typing import Any

from workflows.dsl import shapes
from workflows.dsl.expression import Template
from workflows.dsl.jsontext import Json
from workflows.dsl.model import RetryPolicy
from workflows.dsl.position import below
from workflows.dsl.shapes import Context


def error_filter(context: Context, value: Json, pointer: str) -> Mapping[str, Template] | None:
    """Return which problems are caught, member by member; None for all of them."""
    inner = shapes.members(context, value, pointer, "errors", ("with",))
    if "with" not in inner:
        return None
    place = below(pointer, "with")
    known = ("type", "status", "title", "detail", "details", "instance")
    wanted = shapes.members(context, inner["with"], place, "errors.with", known)
    if not wanted:
        context.issues.error(place, "errors.with names at least one member of the error")
    for key, member in wanted.items():
        if key == "status":
            check_status(context, member, below(place, key))
        elif key in known:
            shapes.text(context, member, below(place, key), key)
    if "detail" in wanted:
        context.issues.strictly(below(place, "detail"), "this filter is spelled details")
    return {key: shapes.template(context, member, below(place, key)) for key, member in wanted.items()}


def check_status(context: Context, status: Json, pointer: str) -> None:
    """Note a status that is no number. The text of the specification has expressions there, its schema has not."""
    if shapes.is_expression(status):
        context.issues.strictly(pointer, "status is a whole number")
    elif isinstance(status, bool) or not isinstance(status, int):
        context.issues.error(pointer, "status is a whole number, e.g. 400")


def retry_policy(context: Context, value: Json, pointer: str) -> RetryPolicy:
    """Return a policy, inline or by name."""
    found, place = shapes.named_or_inline(context, value, pointer, "retries", "retry")
    known = ("when", "exceptWhen", "delay", "backoff", "limit", "jitter")
    inner = shapes.members(context, found, place, "a retry", known)
    parts: dict[str, Any] = {}
    for key, name in (("when", "when"), ("exceptWhen", "except_when")):
        if key in inner:
            parts[name] = shapes.expression(context, inner[key], below(place, key), key)
    if "delay" in inner:
        parts["delay"] = shapes.duration(context, inner["delay"], below(place, "delay"))
    if "backoff" in inner:
        parts.update(_backoff(context, inner["backoff"], below(place, "backoff")))
    if "limit" in inner:
        parts.update(_limit(context, inner["limit"], below(place, "limit")))
    if "jitter" in inner:
        where = below(place, "jitter")
        span = shapes.members(context, inner["jitter"], where, "jitter", ("from", "to"), ("from", "to"))
        for key in ("from", "to"):
            parts[f"jitter_{key}"] = shapes.duration(context, span.get(key, "PT0S"), below(where, key))
    return RetryPolicy(**parts)


def _backoff(context: Context, value: Json, pointer: str) -> dict[str, Any]:
    words = ("constant", "exponential", "linear")
    inner = shapes.members(context, value, pointer, "a backoff", words)
    if len(inner) != 1:
        context.issues.error(pointer, f"a backoff says one of {', '.join(words)}", "exponential: {}")
        return {}
    [(word, details)] = inner.items()
    place = below(pointer, word)
    if details is None:
        context.issues.strictly(place, f"{word} backoff is an object")
    more = shapes.members(context, {} if details is None else details, place, f"{word} backoff")
    parts: dict[str, Any] = {"backoff": word}
    for key, name in (("increment", "increment"), ("maxDelay", "max_delay")):
        if key in more:
            parts[name] = shapes.duration(context, more[key], below(place, key))
    if "multiplier" in more:
        factor = more["multiplier"]
        if isinstance(factor, bool | str | list | dict) or factor is None or factor < 1:
            context.issues.error(below(place, "multiplier"), "multiplier is a number from 1 on")
        else:
            parts["multiplier"] = float(factor)
    return parts


def _limit(context: Context, value: Json, pointer: str) -> dict[str, Any]:
    inner = shapes.members(context, value, pointer, "a limit", ("attempt", "duration"))
    parts: dict[str, Any] = {}
    if "duration" in inner:
        parts["limit_duration"] = shapes.duration(context, inner["duration"], below(pointer, "duration"))
    place = below(pointer, "attempt")
    attempt = shapes.members(context, inner.get("attempt", {}), place, "attempt", ("count", "duration"))
    if "duration" in attempt:
        parts["limit_attempt_duration"] = shapes.duration(context, attempt["duration"], below(place, "duration"))
    count = attempt.get("count")
    if "count" in attempt and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        context.issues.error(below(place, "count"), "count is a whole number from 0 on")
    elif count is not None:
        parts["limit_count"] = count
    return parts
