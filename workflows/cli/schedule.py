"""`schedule list|get|pause|resume|trigger|backfill`."""

import argparse
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas, Verb
from workflows.cli.inputs import actor, limit, moment
from workflows.cli.output import Output, named
from workflows.dsl.jsontext import Json

if TYPE_CHECKING:
    from workflows.runtime.schedules import ScheduleView

COLUMNS = ("id", "workflow", "kind", "expression", "timeZone", "catchUp", "status", "nextFireAt", "lastFireAt")
FIRE_COLUMNS = ("at", "kind", "dueAt", "instance", "by")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(
        areas, "schedule", "What starts by itself: when next, when last; hold it, or make it start.", "schedules"
    )
    listing = area.verb("list", _list)
    listing.add_argument("--namespace", "-n")
    listing.add_argument("--name")
    listing.add_argument("--limit", type=limit, default=100)
    listing.add_argument("--cursor")
    _add(area, "get", _get)
    for name, run in {"pause": _pause, "resume": _resume, "trigger": _trigger, "backfill": _backfill}.items():
        parser = _add(area, name, run)
        parser.add_argument("--reason", default="", help="for the audit")
        if run is _trigger:
            parser.add_argument("--idempotency-key", metavar="KEY", help="the same key starts one instance only")
        if run is _backfill:
            parser.add_argument("--from", dest="start", type=moment, required=True, metavar="TIME")
            parser.add_argument("--to", dest="end", type=moment, required=True, metavar="TIME", help="not included")


def _add(area: Area, name: str, run: Verb) -> argparse.ArgumentParser:
    parser = area.verb(name, run)
    parser.add_argument("id", type=_number)
    return parser


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no id of a schedule: those are numbers (schedule list)")
    return int(text)


def _list(options: argparse.Namespace, output: Output) -> None:
    """List schedules by workflow, with their next and last starts."""
    from workflows.runtime import schedules

    page = schedules.list_schedules(
        actor=actor(), namespace=options.namespace, name=options.name, limit=options.limit, cursor=options.cursor
    )
    items = [view.to_json() for view in page.items]
    output.page([_row(item) for item in items], COLUMNS, items, page.next)


def _get(options: argparse.Namespace, output: Output) -> None:
    """Show a schedule and its last starts."""
    from workflows.runtime import schedules

    _show(schedules.get_schedule(options.id, actor=actor()), output)


def _pause(options: argparse.Namespace, output: Output) -> None:
    """Have a schedule start nothing until it is resumed, whatever versions come."""
    from workflows.runtime import schedules

    _show(schedules.pause(options.id, actor=actor(), reason=options.reason), output)


def _resume(options: argparse.Namespace, output: Output) -> None:
    """Have a paused schedule go on with its next due time."""
    from workflows.runtime import schedules

    _show(schedules.resume(options.id, actor=actor(), reason=options.reason), output)


def _trigger(options: argparse.Namespace, output: Output) -> None:
    """Start an instance now, beside those that are due."""
    from workflows.runtime import schedules

    fire = schedules.trigger(options.id, actor=actor(), reason=options.reason, key=options.idempotency_key)
    output.record(schedules.fire_json(fire))


def _backfill(options: argparse.Namespace, output: Output) -> None:
    """Start an instance for each due time of a past window that nothing was started for."""
    from workflows.runtime import schedules

    done = schedules.backfill(options.id, options.start, options.end, actor=actor(), reason=options.reason)
    output.record(done.to_json())


def _show(view: "ScheduleView", output: Output) -> None:
    item = view.to_json()
    fires = item.pop("fires")
    if output.format != "text":
        output.value({**item, "fires": fires})
        return
    output.record(_row(item))
    if fires:
        output.note("last starts:")
        output.table(fires, FIRE_COLUMNS)


def _row(item: dict[str, Json]) -> dict[str, Json]:
    return {**item, "workflow": named(item["workflow"])}
