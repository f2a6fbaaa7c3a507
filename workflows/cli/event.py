"""`event publish|list|listen` (also `events …`)."""

import argparse
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas
from workflows.cli.exits import CommandError, Exit
from workflows.cli.inputs import actor, limit, moment, pair, read_file
from workflows.cli.output import Output, cell, to_json
from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json

if TYPE_CHECKING:
    from workflows.runtime.event_rules import Event

LOOK_SECONDS = 0.2
"""Between looks, while nothing is received."""

COLUMNS = ("receivedAt", "type", "source", "id", "subject", "data")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "event", "CloudEvents: publish some, and see which were received.", "events")
    publish = area.verb("publish", _publish)
    publish.add_argument(
        "--file", "-f", metavar="FILE", help="an event in JSON format, or a list of them; - is stdin. Else:"
    )
    publish.add_argument("--type", metavar="TYPE", help="what happened, such as com.example.order.placed")
    publish.add_argument("--source", metavar="URI", help="who tells it, such as /orders")
    publish.add_argument("--data", metavar="JSON", help="what there is to say about it")
    publish.add_argument("--subject", metavar="TEXT")
    publish.add_argument("--id", metavar="TEXT", help="the same source and id are taken once (default: a new one)")
    publish.add_argument(
        "--attribute",
        "-a",
        action="append",
        default=[],
        type=pair("no attribute"),
        metavar="NAME=TEXT",
        help="an extension",
    )
    publish.add_argument("--namespace", "-n", help="where namespaces have buses of their own")
    listing, listening = area.verb("list", _list), area.verb("listen", _listen)
    for parser in (listing, listening):
        parser.add_argument("--type", metavar="TYPE")
        parser.add_argument("--source", metavar="URI")
    listening.add_argument("--count", type=limit, metavar="N", help="end after so many")
    listing.add_argument("--since", type=moment, metavar="TIME")
    listing.add_argument("--limit", type=limit, default=50)
    listing.add_argument("--cursor")


def _publish(options: argparse.Namespace, output: Output) -> None:
    """Publish events: from a file, or one of what the flags say. They are stored when this returns."""
    from workflows.runtime import reception

    done = reception.publish(_given(options), actor=actor(), namespace=options.namespace)
    output.record({"accepted": done.accepted, "duplicates": done.duplicates})


def _given(options: argparse.Namespace) -> "list[Event]":
    from workflows.runtime.event_rules import check_events
    from workflows.runtime.json_texts import read_json

    if options.file is None:
        return check_events([_spelled(options)], is_batch=False)
    if options.type or options.source or options.data or options.subject or options.id or options.attribute:
        raise CommandError("say --file, or the event by flags: not both", Exit.USAGE)
    value = read_json(read_file(options.file), options.file)
    is_batch = isinstance(value, list)
    return check_events(value if is_batch else [value], is_batch=is_batch)


def _spelled(options: argparse.Namespace) -> dict[str, Json]:
    """Return the event of the flags; what is missing is found by the rules."""
    import uuid6

    if not options.type or not options.source:
        raise CommandError("say what happened and who tells it: --type and --source, or --file", Exit.USAGE)
    event: dict[str, Json] = {
        "specversion": "1.0",
        "id": options.id or str(uuid6.uuid7()),
        "source": options.source,
        "type": options.type,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **dict(options.attribute),
    }
    if options.subject is not None:
        event["subject"] = options.subject
    if options.data is not None:
        try:
            event["data"] = jsontext.decode(options.data.encode("utf-8", "surrogateescape"))
        except jsontext.JsonError as error:
            raise CommandError(
                f'--data is not JSON: {error}; a text is written in "quotes"', Exit.VALIDATION
            ) from error
    return event


def _list(options: argparse.Namespace, output: Output) -> None:
    """List received events, the newest first."""
    from workflows.runtime import reception
    from workflows.runtime.reception import EventFilter

    wanted = EventFilter(type=options.type, source=options.source, since=options.since)
    page = reception.list_events(wanted, actor=actor(), limit=options.limit, cursor=options.cursor)
    items = [view.to_json() for view in page.items]
    rows = [{**item["event"], "receivedAt": item["receivedAt"]} for item in items]
    output.page(rows, COLUMNS, items, page.next)


def _listen(options: argparse.Namespace, output: Output) -> None:
    """Show events as they are received, from now on, one a line, until interrupted."""
    from workflows.runtime import reception
    from workflows.runtime.reception import EventFilter

    following = reception.Following(EventFilter(type=options.type, source=options.source), actor=actor())
    output.note("listening; Ctrl-C ends it")
    left = options.count
    while left is None or left > 0:
        views = following.read()[:left]
        for view in views:
            print(
                _line(view.to_json()) if output.format == "text" else to_json(view.to_json(), indent=False), flush=True
            )
        left = None if left is None else left - len(views)
        if not views:
            time.sleep(LOOK_SECONDS)


def _line(item: dict[str, Json]) -> str:
    event = item["event"]
    shown = (item["receivedAt"], *(event.get(name) for name in ("type", "source", "id", "data")))
    return "  ".join(map(cell, shown))
