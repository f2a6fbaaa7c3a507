"""Readers of CloudEvents and of which of them are wanted."""

import re
from collections.abc import Callable

from workflows.dsl import resources, shapes
from workflows.dsl.cloud_events import IDENTIFYING, LONGEST_BYTES, is_name, is_too_long
from workflows.dsl.expression import Expression, Template, expressions_in
from workflows.dsl.jsontext import Json
from workflows.dsl.model import Correlation, EventFilter, EventStrategy, SubscriptionIterator, TaskList
from workflows.dsl.position import below
from workflows.dsl.shapes import Context

_MODES = ("one", "any", "all")
_URIS = ("source", "dataschema")
_TEXTS = ("id", "type", "subject", "datacontenttype", "time", *_URIS)


def event(context: Context, value: Json, pointer: str) -> Template:
    """Return the CloudEvent that an `emit` publishes: the object under `event.with`."""
    outer = shapes.members(context, value, pointer, "emit.event", None, ("with",))
    place = below(pointer, "with")
    inner = shapes.members(context, outer.get("with", {}), place, "a CloudEvent", None, ("source", "type"))
    _check_attributes(context, inner, place)
    if "data" in inner and "data_base64" in inner:
        context.issues.error(place, "a CloudEvent has data or data_base64, not both")
    if inner.get("specversion", "1.0") != "1.0":
        context.issues.error(below(place, "specversion"), "CloudEvents of version 1.0 are made here", "leave it out")
    return shapes.template(context, inner, place)


def _check_attributes(context: Context, inner: dict[str, Json], pointer: str) -> None:
    for key in inner:
        if not is_name(key) and key != "data_base64":
            message = f"{key!r} is no attribute of a CloudEvent: their names have lower case letters and digits only"
            context.issues.error(below(pointer, key), message, f"write {hint}" if (hint := _plain(key)) else "")
    for key in IDENTIFYING:
        if isinstance(inner.get(key), str) and is_too_long(key, inner[key]):
            context.issues.error(below(pointer, key), f"a CloudEvent's {key} has {LONGEST_BYTES} bytes at most")
    for key in _TEXTS:
        if key in inner:
            source = shapes.text(context, inner[key], below(pointer, key), key)
            if key in _URIS and not resources.is_uri(source):
                context.issues.strictly(below(pointer, key), f"{key} is an absolute URI or an expression")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def strategy(context: Context, value: Json, pointer: str) -> EventStrategy:
    """Return which events are consumed."""
    inner = shapes.members(context, value, pointer, "this", (*_MODES, "until"))
    modes = [mode for mode in _MODES if mode in inner]
    if len(modes) != 1:
        context.issues.error(pointer, "say which events are wanted by one of one, any and all")
        return EventStrategy(mode="any", filters=())
    [mode] = modes
    return EventStrategy(
        mode=mode, filters=_filters(context, mode, inner[mode], pointer), until=_until(context, inner, pointer)
    )


def _filters(context: Context, mode: str, value: Json, pointer: str) -> tuple[EventFilter, ...]:
    place = below(pointer, mode)
    if mode == "one":
        return (_filter(context, value, place),)
    found = shapes.items(context, value, place, mode)
    if mode == "all" and value == []:
        context.issues.error(place, "all names at least one event", "any: [] takes the first that comes")
    return tuple(_filter(context, item, below(place, index)) for index, item in enumerate(found))


def _until(context: Context, inner: dict[str, Json], pointer: str) -> EventStrategy | Expression | None:
    if "until" not in inner:
        return None
    place = below(pointer, "until")
    if "any" not in inner:
        context.issues.error(place, "until goes with any")
    value = inner["until"]
    if isinstance(value, dict):
        if "until" in value:
            context.issues.error(below(place, "until"), "the events of until have no until of their own")
        return strategy(context, {key: member for key, member in value.items() if key != "until"}, place)
    return shapes.expression(context, value, place, "until")


def _filter(context: Context, value: Json, pointer: str) -> EventFilter:
    inner = shapes.members(context, value, pointer, "an event filter", ("with", "correlate"), ("with",))
    place = below(pointer, "with")
    wanted = shapes.members(context, inner.get("with", {}), place, "with")
    if not wanted and "with" in inner:
        context.issues.error(place, "an event filter names at least one attribute")
    _check_attributes(context, wanted, place)
    keys = shapes.members(context, inner.get("correlate", {}), below(pointer, "correlate"), "correlate")
    with_ = {key: shapes.template(context, member, below(place, key)) for key, member in wanted.items()}
    for key, template in with_.items():
        context.filters.extend((below(place, key), each) for each in expressions_in(template))
    return EventFilter(
        with_=with_,
        correlate={
            key: _correlation(context, member, below(below(pointer, "correlate"), key)) for key, member in keys.items()
        },
    )


def _correlation(context: Context, value: Json, pointer: str) -> Correlation:
    inner = shapes.members(context, value, pointer, "a correlation", ("from", "expect"), ("from",))
    expect = inner.get("expect")
    from_ = shapes.expression(context, inner.get("from", "."), below(pointer, "from"), "from")
    context.filters.append((below(pointer, "from"), from_))
    if expect is None:
        return Correlation(from_=from_)
    expected = shapes.template(context, expect, below(pointer, "expect"))
    context.filters.extend((below(pointer, "expect"), each) for each in expressions_in(expected))
    return Correlation(from_=from_, expect=expected)


ReadTasks = Callable[[Context, Json, str], TaskList]


def iterator(context: Context, value: Json, pointer: str, tasks: ReadTasks) -> SubscriptionIterator:
    """Return what is done with each event."""
    known = ("item", "at", "do", "output", "export")
    inner = shapes.members(context, value, pointer, "foreach", known)
    if inner.get("item", "item") == inner.get("at", "index"):
        context.issues.error(pointer, "item and at have the same name, so one would hide the other")
    return SubscriptionIterator(
        item=shapes.text(context, inner.get("item", "item"), below(pointer, "item"), "item"),
        at=shapes.text(context, inner.get("at", "index"), below(pointer, "at"), "at"),
        do=tasks(context, inner["do"], below(pointer, "do")) if "do" in inner else None,
        output=resources.output_of(context, inner["output"], below(pointer, "output")) if "output" in inner else None,
        export=resources.export_of(context, inner["export"], below(pointer, "export")) if "export" in inner else None,
    )
