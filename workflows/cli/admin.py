"""`admin create-key|list-keys|revoke-key|bootstrap`: who may come in. `dead-letters list|redeliver`, `cleanup`."""

import argparse
import os

from workflows.cli.areas import Area, Areas
from workflows.cli.exits import CommandError, Exit
from workflows.cli.inputs import actor, add_input_flags, confirm, instance_id, limit, read_input
from workflows.cli.output import Output

ROLES = ("viewer", "operator", "editor", "admin")
COLUMNS = ("id", "prefix", "name", "role", "namespaces", "createdAt", "revokedAt")
LETTER_COLUMNS = ("id", "kind", "workflow", "position", "reason", "givenUpAt")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "admin", "API keys, the first user, what was given up, and what is old enough to go.")
    create = area.verb("create-key", _create)
    create.add_argument("name", help="what people will call it")
    create.add_argument("--role", choices=ROLES, default="viewer")
    create.add_argument("--namespace", action="append", default=[], help="limit it to these (default: all)")
    area.verb("list-keys", _list)
    revoke = area.verb("revoke-key", _revoke)
    revoke.add_argument("key", metavar="ID|PREFIX")
    revoke.add_argument("--reason", default="")
    revoke.add_argument("--yes", "-y", action="store_true", help="do not ask")
    bootstrap = area.verb("bootstrap", _bootstrap)
    bootstrap.add_argument("--username", default="admin")
    cleanup = area.verb("cleanup", _cleanup)
    cleanup.add_argument("--dry-run", action="store_true", help="only count what would go")
    cleanup.add_argument("--yes", "-y", action="store_true", help="do not ask")
    _add_dead_letters(area.area("dead-letters", "Instances that were given up, and events that sinks did not take."))


def _add_dead_letters(area: Area) -> None:
    listing = area.verb("list", _list_letters)
    listing.add_argument("--kind", choices=("instance", "event"), help="default: all")
    listing.add_argument("--limit", type=limit, default=100)
    listing.add_argument("--cursor")
    redeliver = area.verb("redeliver", _redeliver)
    redeliver.add_argument("id")
    redeliver.add_argument("--reason", default="", help="for the history and the audit")
    add_input_flags(redeliver)


def _create(options: argparse.Namespace, output: Output) -> None:
    """Make an API key and print it; it cannot be shown again."""
    from workflows.runtime import accounts

    made = accounts.create_key(options.name, options.role, namespaces=options.namespace, actor=actor())
    if output.format == "text":
        output.note(f"{made.key.role} key {made.key.prefix} for {made.key.name}; keep it, it is shown this once:")
        print(made.text)
    else:
        output.value({"id": made.key.pk, "prefix": made.key.prefix, "role": made.key.role, "key": made.text})


def _list(options: argparse.Namespace, output: Output) -> None:
    """List API keys, revoked ones too."""
    from workflows.runtime import accounts
    from workflows.runtime.views import instant

    rows = [
        {
            "id": key.pk,
            "prefix": key.prefix,
            "name": key.name,
            "role": key.role,
            "namespaces": key.namespaces,
            "createdAt": instant(key.created_at),
            "expiresAt": instant(key.expires_at),
            "revokedAt": instant(key.revoked_at),
        }
        for key in accounts.list_keys(actor=actor())
    ]
    output.table(rows, COLUMNS)


def _revoke(options: argparse.Namespace, output: Output) -> None:
    """End an API key for good."""
    from workflows.runtime import accounts

    confirm(f"Revoke the key {options.key}?", is_certain=options.yes)
    key = accounts.revoke_key(options.key, actor=actor(), reason=options.reason)
    output.note(f"revoked {key}")


def _bootstrap(options: argparse.Namespace, output: Output) -> None:
    """Make the administrator and an API key from LEMLINE_DEV_PASSWORD and LEMLINE_DEV_API_KEY."""
    from workflows.runtime import accounts

    password, key = os.environ.get("LEMLINE_DEV_PASSWORD"), os.environ.get("LEMLINE_DEV_API_KEY")
    if not password and not key:
        raise CommandError("set LEMLINE_DEV_PASSWORD, LEMLINE_DEV_API_KEY or both", Exit.USAGE)
    if password:
        accounts.ensure_admin(password, name=options.username)
        output.note(f"{options.username} can log in at /admin/")
    if key:
        output.note(f"the API key {accounts.ensure_api_key(key).prefix} is valid")


def _list_letters(options: argparse.Namespace, output: Output) -> None:
    """List dead letters: what processes died of, what could not be stored, what sinks did not take; the last first."""
    from workflows.runtime import dead_letters

    page = dead_letters.list_dead_letters(actor=actor(), kind=options.kind, limit=options.limit, cursor=options.cursor)
    items = [letter.to_json() for letter in page.items]
    rows = [{**item, "workflow": letter.workflow} for item, letter in zip(items, page.items, strict=True)]
    output.page(rows, LETTER_COLUMNS, items, page.next)


def _redeliver(options: argparse.Namespace, output: Output) -> None:
    """Take an instance up again from the task where it stood; --input replaces that task's. Or send an event again."""
    from workflows.runtime import dead_letters, lost_events

    if lost_events.is_event(options.id):
        sent = lost_events.redeliver_event(options.id, actor=actor(), reason=options.reason)
        output.note(f"{sent.id} is on its way to {sent.sink}")
        return
    edited = read_input(options) if options.input is not None or options.input_file is not None else None
    view = dead_letters.redeliver(instance_id(options.id), actor=actor(), input=edited, reason=options.reason)
    output.note(f"{view.id} is {view.status}")


def _cleanup(options: argparse.Namespace, output: Output) -> None:
    """Remove ended instances, events, starts by schedules and audit entries that are older than they are kept.

    The ages are lemline.workflow.cleanup-after, lemline.events.retention, lemline.schedules.retention and
    lemline.audit.retention.
    """
    from django.conf import settings

    from lemline_site.config.values import format_duration
    from workflows.runtime import retention

    if not options.dry_run:
        age = format_duration(settings.LEMLINE.workflow.cleanup_after)
        confirm(f"Remove for good what ended longer ago than {age}?", is_certain=options.yes)
    removed = retention.clean_up(actor=actor(), dry_run=options.dry_run)
    rows = [{"what": name, "rows": count} for name, count in removed.counts().items()]
    output.table(rows, ("what", "rows"), whole=removed.to_json())
