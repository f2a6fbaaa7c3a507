"""Reader of `schedule`: when instances start by themselves. Source: DSL reference, "Schedule".

What the DSL has no words for stands in `document.metadata.schedule`: the time zone of a cron expression, and what to do
about starts that were missed while nobody kept time.
"""

from collections.abc import Mapping
from datetime import timedelta

from workflows.dsl import events, shapes
from workflows.dsl.cron import check_zone, parse_cron
from workflows.dsl.duration import parse_duration
from workflows.dsl.jsontext import Json
from workflows.dsl.model import Schedule
from workflows.dsl.position import below
from workflows.dsl.shapes import Context

KINDS = ("every", "cron", "after", "on")
CATCH_UPS = ("skip", "once", "all")

_METADATA = "/document/metadata/schedule"


def schedule(context: Context, value: Json, metadata: Mapping[str, Json]) -> Schedule:
    """Return a schedule.

    Args:
        context: Notes what is wrong.
        value: The definition's `schedule`.
        metadata: Its `document.metadata`.
    """
    inner = shapes.members(context, value, "/schedule", "schedule", KINDS)
    if len(inner) != 1:
        context.issues.error("/schedule", "a schedule says one of every, cron, after and on")
    said = shapes.members(
        context, metadata.get("schedule", {}), _METADATA, "metadata.schedule", ("timeZone", "catchUp")
    )
    time_zone = _time_zone(context, said)
    return Schedule(
        every=_every(context, inner["every"]) if "every" in inner else None,
        cron=_cron(context, inner["cron"], time_zone) if "cron" in inner else None,
        after=_span(context, inner["after"], "/schedule/after") if "after" in inner else None,
        on=events.strategy(context, inner["on"], "/schedule/on") if "on" in inner else None,
        time_zone=time_zone,
        catch_up=_catch_up(context, said, inner),
    )


def _every(context: Context, value: Json) -> timedelta:
    noted = len(context.issues.errors)
    span = _span(context, value, "/schedule/every")
    if not span and len(context.issues.errors) == noted:
        context.issues.error("/schedule/every", "starts need some time between them", "write e.g. every: PT1M")
    return span


def _span(context: Context, value: Json, pointer: str) -> timedelta:
    """Return a span that is known now: nothing has been given yet that an expression could be about."""
    texts = value.values() if isinstance(value, dict) else (value,)
    if any(map(shapes.holds_expression, texts)):
        context.issues.error(pointer, "a schedule's duration is no expression: there is no instance to evaluate it for")
        return parse_duration("PT0S")
    found = shapes.duration(context, value, pointer)
    return found if isinstance(found, timedelta) else timedelta()


def _cron(context: Context, value: Json, time_zone: str) -> str:
    text = shapes.text(context, value, "/schedule/cron", "cron")
    if isinstance(value, str):
        try:
            parse_cron(text, time_zone or "UTC")
        except ValueError as error:
            context.issues.error("/schedule/cron", str(error), "five fields, e.g. 0 9 * * MON-FRI, or six with seconds")
    return text


def _time_zone(context: Context, said: Mapping[str, Json]) -> str:
    if "timeZone" not in said:
        return ""
    pointer = below(_METADATA, "timeZone")
    name = shapes.text(context, said["timeZone"], pointer, "timeZone")
    try:
        check_zone(name)
    except ValueError as error:
        context.issues.error(pointer, str(error))
        return ""
    return name


def _catch_up(context: Context, said: Mapping[str, Json], inner: Mapping[str, Json]) -> str:
    if "catchUp" not in said:
        return ""
    pointer = below(_METADATA, "catchUp")
    if not {"every", "cron"} & inner.keys():
        context.issues.error(pointer, "catchUp goes with every and cron: the others miss nothing")
    return shapes.choice(context, said["catchUp"], pointer, "catchUp", CATCH_UPS)
