"""`sink list|get|add|change|remove`."""

import argparse
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas
from workflows.cli.inputs import actor, confirm, pair
from workflows.cli.output import Output

if TYPE_CHECKING:
    from workflows.runtime.sinks import SinkRequest

COLUMNS = ("name", "url", "kinds", "status", "waiting", "deadLetters", "delivered", "problem")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "sink", "Where CloudEvents are sent: what waits for whom, and why.", "sinks")
    area.verb("list", _list)
    area.verb("get", _get).add_argument("name")
    for name, run in {"add": _add, "change": _change}.items():
        _add_flags(area.verb(name, run))
    remove = area.verb("remove", _remove, aliases=("delete",))
    remove.add_argument("name")
    remove.add_argument("--discard", action="store_true", help="throw away what waits for it, dead letters too")
    remove.add_argument("--reason", default="", help="for the audit")
    remove.add_argument("--yes", "-y", action="store_true", help="do not ask")


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("url", help="https://…, redis://…?stream=…, amqp://…?exchange=…, nats://…, mqtt://…")
    parser.add_argument("--binary", action="store_true", help="attributes beside the data (default: one JSON text)")
    parser.add_argument(
        "--kind", action="append", choices=("emit", "lifecycle"), help="what it wants (default: emit); repeat for both"
    )
    parser.add_argument("--namespace", "-n", default="", help="of this one only")
    parser.add_argument("--workflow", default="", help="of this one only")
    parser.add_argument(
        "--filter", action="append", default=[], type=pair("no filter", "attribute=text"), metavar="ATTRIBUTE=TEXT",
        help="events with this attribute only, such as type=com.example.*; repeated for one attribute, one of them",
    )  # fmt: skip
    parser.add_argument("--secret", default="", metavar="NAME", help="of the secret that signs what is sent by HTTP")
    parser.add_argument("--credentials", default="", metavar="NAME", help="of the secret by which it lets us in")
    parser.add_argument("--reason", default="", help="for the audit")


def _list(options: argparse.Namespace, output: Output) -> None:
    """List sinks, with what waits for each."""
    from workflows.runtime import sinks

    items = [view.to_json() for view in sinks.list_sinks(actor=actor())]
    rows = [{**item, "kinds": ",".join(item["kinds"])} for item in items]
    output.page(rows, COLUMNS, items, None)


def _get(options: argparse.Namespace, output: Output) -> None:
    """Show a sink, and how it stands."""
    from workflows.runtime import sinks

    output.record(sinks.get_sink(options.name, actor=actor()).to_json())


def _add(options: argparse.Namespace, output: Output) -> None:
    """Have events sent somewhere from now on."""
    from workflows.runtime import sinks

    output.record(sinks.add_sink(_request(options), actor=actor(), reason=options.reason).to_json())


def _change(options: argparse.Namespace, output: Output) -> None:
    """Have a sink be what is said here. What waits for it stays, and is tried at once."""
    from workflows.runtime import sinks

    output.record(sinks.change_sink(_request(options), actor=actor(), reason=options.reason).to_json())


def _remove(options: argparse.Namespace, output: Output) -> None:
    """Send nothing to a sink any more; refused while events wait for it, unless they may be thrown away."""
    from workflows.runtime import sinks

    if options.discard:
        confirm(f"Throw away all that waits for {options.name}?", is_certain=options.yes)
    count = sinks.remove_sink(options.name, actor=actor(), discard=options.discard, reason=options.reason)
    output.note(f"removed {options.name}" + (f", and {count} events with it" if count else ""))


def _request(options: argparse.Namespace) -> "SinkRequest":
    from workflows.runtime.sinks import SinkRequest

    wanted: dict[str, list[str]] = {}
    for name, text in options.filter:
        wanted.setdefault(name, []).append(text)
    return SinkRequest(
        name=options.name, url=options.url, mode="binary" if options.binary else "structured",
        kinds=options.kind or ("emit",), namespace=options.namespace, workflow=options.workflow, filter=wanted,
        secret=options.secret, credentials=options.credentials,
    )  # fmt: skip
