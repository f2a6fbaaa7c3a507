"""`webhook create|list|get|delete|test`."""

import argparse
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas
from workflows.cli.inputs import actor, limit, pair, read_file
from workflows.cli.output import Output
from workflows.dsl.jsontext import Json

if TYPE_CHECKING:
    from workflows.runtime.webhooks import Webhook

COLUMNS = ("name", "namespace", "path", "letInBy", "createdAt", "createdBy")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(
        areas, "webhook", "Doors for JSON of others: what CloudEvent becomes of it, and who may post.", "webhooks"
    )
    create = area.verb("create", _create)
    create.add_argument("--file", "-f", metavar="FILE", required=True, help="a webhook as JSON; - is stdin")
    create.add_argument("--force", action="store_true", help="replace one of this name that says something else")
    listing = area.verb("list", _list)
    listing.add_argument("--limit", type=limit, default=100)
    listing.add_argument("--cursor")
    area.verb("get", _get).add_argument("name")
    area.verb("delete", _delete).add_argument("name")
    test = area.verb("test", _test)
    test.add_argument("name")
    test.add_argument("--file", "-f", metavar="FILE", required=True, help="JSON as it would be posted; - is stdin")
    test.add_argument("--header", action="append", default=[], type=pair("none"), metavar="NAME=TEXT")
    test.add_argument("--query", action="append", default=[], type=pair("none"), metavar="NAME=TEXT")


def _create(options: argparse.Namespace, output: Output) -> None:
    """Make a webhook from a file with what `POST /api/v1/webhooks` takes."""
    from workflows.api.bodies import parse
    from workflows.api.webhook_bodies import WebhookBody
    from workflows.runtime import webhooks
    from workflows.runtime.json_texts import read_json

    wanted = parse(read_json(read_file(options.file), options.file), WebhookBody).to_request()
    made, changed = webhooks.create_webhook(wanted, actor=actor(), force=options.force)
    _show(made, output)
    if not changed:
        output.note("it was there already")


def _list(options: argparse.Namespace, output: Output) -> None:
    """List webhooks by name."""
    from workflows.runtime import webhooks

    page = webhooks.list_webhooks(actor=actor(), limit=options.limit, cursor=options.cursor)
    items = [webhook.to_json() for webhook in page.items]
    output.page([_row(item) for item in items], COLUMNS, items, page.next)


def _get(options: argparse.Namespace, output: Output) -> None:
    """Show a webhook."""
    from workflows.runtime import webhooks

    _show(webhooks.get_webhook(options.name, actor=actor()), output)


def _delete(options: argparse.Namespace, output: Output) -> None:
    """Delete a webhook; events that came by it stay."""
    from workflows.runtime import webhooks

    webhooks.delete_webhook(options.name, actor=actor())
    output.note(f"webhook {options.name} is deleted")


def _test(options: argparse.Namespace, output: Output) -> None:
    """Show the CloudEvent that a webhook makes of some JSON. Nothing is stored, and no signature is asked for."""
    from workflows.runtime import webhooks
    from workflows.runtime.json_texts import read_json

    body = read_file(options.file)
    webhook = webhooks.get_webhook(options.name, actor=actor())
    headers = {name.lower(): text for name, text in options.header}
    event = webhooks.make_event(webhook, headers, dict(options.query), body, read_json(body, options.file))
    if event is None:
        output.note("no event: the webhook's condition does not hold for this")
    output.value(event)


def _show(webhook: "Webhook", output: Output) -> None:
    output.value(webhook.to_json())


def _row(item: dict[str, Json]) -> dict[str, Json]:
    signature = item["signature"]
    let_in = f"{signature['scheme']}, secret {signature['secret']}" if signature else "API key"
    return {**item, "letInBy": let_in}
