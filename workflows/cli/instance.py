"""`instance start|get|list|history|suspend|resume|cancel|retry|watch`."""

import argparse
from typing import TYPE_CHECKING
from uuid import UUID

from workflows.cli.areas import Area, Areas
from workflows.cli.exits import Exit
from workflows.cli.inputs import (
    actor,
    add_input_flags,
    duration,
    instance_id,
    label,
    limit,
    moment,
    read_input,
    reference,
)
from workflows.cli.output import Output, cell, named

if TYPE_CHECKING:
    from workflows.runtime.operations import InstanceView

COLUMNS = ("id", "workflow", "status", "createdAt", "endedAt")
TASK_COLUMNS = ("position", "name", "kind", "status", "attempt", "startedAt", "endedAt", "worker")
PHASE_COLUMNS = ("status", "at", "reason", "by")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "instance", "Start, show and steer instances.", "instances")
    _add_start(area)
    _add_questions(area)
    _add_verbs(area)


def _add_start(area: Area) -> None:
    start = area.verb("start", _start)
    start.add_argument("name", metavar="NAMESPACE/NAME")
    start.add_argument("version", nargs="?", help="default: latest")
    add_input_flags(start)
    start.add_argument("--wait", action="store_true", help="until it has ended, then print how")
    start.add_argument("--timeout", type=duration, default=duration("5m"), help="how long to wait (default: 5m)")
    start.add_argument("--priority", type=int, help="1 is most urgent (default: 3)")
    start.add_argument("--label", action="append", type=label, default=[], metavar="KEY=VALUE")
    start.add_argument("--id", type=instance_id, help="a UUID of your own")
    start.add_argument("--idempotency-key", metavar="KEY", help="the same key starts one instance only")


def _add_questions(area: Area) -> None:
    get = area.verb("get", _get)
    get.add_argument("id")
    get.add_argument("--history", action="store_true", help="its task runs too")
    listing = area.verb("list", _list)
    listing.add_argument("workflow", nargs="?", metavar="NAMESPACE/NAME")
    listing.add_argument("--status", help="a status, also active, failed, terminated")
    listing.add_argument("--label", action="append", type=label, default=[], metavar="KEY=VALUE")
    listing.add_argument("--since", "--from", type=moment, metavar="TIME", help="created at or after")
    listing.add_argument("--until", "--to", type=moment, metavar="TIME", help="created before")
    listing.add_argument("--error", help="type of the problem")
    listing.add_argument("--limit", type=limit, default=100)
    listing.add_argument("--cursor")
    history = area.verb("history", _history)
    history.add_argument("id")
    history.add_argument("--limit", type=limit, default=500)
    history.add_argument("--cursor")
    watch = area.verb("watch", _watch)
    watch.add_argument("id")
    watch.add_argument("--timeout", type=duration, default=duration("24h"), help="give up after (default: 24h)")


def _add_verbs(area: Area) -> None:
    for name, run in {"suspend": _suspend, "resume": _resume, "cancel": _cancel, "retry": _retry}.items():
        parser = area.verb(name, run)
        parser.add_argument("id")
        parser.add_argument("--reason", default="", help="for the history and the audit")
        if run is _suspend:
            parser.add_argument("--duration", type=duration, help="resume by itself after this")
        if run is _retry:
            source = parser.add_mutually_exclusive_group()
            source.add_argument("--from-position", dest="source", metavar="POSITION", help="such as /do/0/charge")
            source.add_argument("--from-beginning", dest="source", action="store_const", const="beginning")
            parser.set_defaults(source="failed")
            add_input_flags(parser)


def _start(options: argparse.Namespace, output: Output) -> int:
    """Start an instance of a registered definition."""
    from workflows.runtime import operations

    wanted = reference(options.name, options.version)
    request = operations.StartRequest(
        namespace=wanted.namespace,
        name=wanted.name,
        version=wanted.version,
        input=read_input(options),
        priority=options.priority,
        labels=dict(options.label),
        instance_id=options.id,
        idempotency_key=options.idempotency_key,
        start_at=None,
    )
    view = operations.start(request, actor=actor()).instance
    if options.wait:
        output.note(view.id)
        view = _follow(UUID(view.id), options.timeout.total_seconds(), output)
    _show(view, output)
    return _exit_of(view) if options.wait else Exit.OK


def _get(options: argparse.Namespace, output: Output) -> None:
    """Show an instance."""
    from workflows.runtime import operations

    _show(operations.get_instance(instance_id(options.id), actor=actor()), output)
    if options.history:
        options.limit, options.cursor = 500, None
        _history(options, output)


def _list(options: argparse.Namespace, output: Output) -> None:
    """List instances, newest first."""
    from workflows.runtime import operations

    wanted = reference(options.workflow) if options.workflow else None
    page = operations.list_instances(
        operations.InstanceFilter(
            workflow=f"{wanted.namespace}/{wanted.name}" if wanted else None,
            version=wanted.version if wanted else None,
            status=options.status,
            labels=dict(options.label),
            since=options.since,
            until=options.until,
            error=options.error,
        ),
        actor=actor(),
        limit=options.limit,
        cursor=options.cursor,
    )
    items = [view.to_json(summary=True) for view in page.items]
    rows = [{**item, "workflow": named(item["workflow"])} for item in items]
    output.page(rows, COLUMNS, items, page.next)


def _history(options: argparse.Namespace, output: Output) -> None:
    """Show the task runs of an instance, and its phases."""
    from workflows.runtime import operations

    view = operations.history(instance_id(options.id), actor=actor(), limit=options.limit, cursor=options.cursor)
    if output.format != "text":
        output.value({"tasks": view.tasks.items, "next": view.tasks.next, "phases": view.phases})
        return
    output.table(view.tasks.items, TASK_COLUMNS)
    print()
    output.table(view.phases, PHASE_COLUMNS)
    output.more(view.tasks.next)


def _watch(options: argparse.Namespace, output: Output) -> int:
    """Follow an instance until it ends; leaves with 7 when it faulted."""
    view = _follow(instance_id(options.id), options.timeout.total_seconds(), output)
    _show(view, output)
    return _exit_of(view)


def _suspend(options: argparse.Namespace, output: Output) -> None:
    """Hold an instance: nothing new is begun until it is resumed."""
    from workflows.runtime import operations

    wanted = instance_id(options.id)
    _show(operations.suspend(wanted, actor=actor(), reason=options.reason, resume_after=options.duration), output)


def _resume(options: argparse.Namespace, output: Output) -> None:
    """Let a suspended instance go on."""
    from workflows.runtime import operations

    _show(operations.resume(instance_id(options.id), actor=actor(), reason=options.reason), output)


def _cancel(options: argparse.Namespace, output: Output) -> None:
    """End an instance now."""
    from workflows.runtime import operations

    _show(operations.cancel(instance_id(options.id), actor=actor(), reason=options.reason), output)


def _retry(options: argparse.Namespace, output: Output) -> None:
    """Run a faulted or cancelled instance again, from the failed task unless told otherwise."""
    from workflows.runtime import operations

    edited = read_input(options) if options.input is not None or options.input_file is not None else None
    view = operations.retry(
        instance_id(options.id), actor=actor(), source=options.source, input=edited, reason=options.reason
    )
    _show(view, output)


def _follow(wanted: UUID, timeout_seconds: float, output: Output) -> "InstanceView":
    """Wait for the end, telling each change; a process of some worker does the work meanwhile."""
    import time

    from workflows.models import FINAL_STATUSES
    from workflows.runtime import operations

    until = time.monotonic() + timeout_seconds
    seen = None
    while True:
        rest = until - time.monotonic()
        view = operations.get_instance(wanted, actor=actor(), wait_seconds=max(0.0, min(1.0, rest)))
        sight = f"{view.status} {' '.join(view.to_json()['positions'])}".strip()
        if sight != seen:
            output.note(sight)
            seen = sight
        if view.status in FINAL_STATUSES:
            return view
        if rest <= 0:
            raise TimeoutError(f"{wanted} is still {view.status} after {timeout_seconds:g} s; it goes on")


def _exit_of(view: "InstanceView") -> Exit:
    return Exit.OK if view.status == "completed" else Exit.EXECUTION


def _show(view: "InstanceView", output: Output) -> None:
    shown = view.to_json()
    if output.format == "text":
        shown = {**shown, "workflow": named(shown["workflow"])}
        shown = {name: cell(value) if isinstance(value, str) else value for name, value in shown.items()}
    output.record(shown)
