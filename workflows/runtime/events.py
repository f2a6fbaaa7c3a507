"""CloudEvents come in: accepted means stored, once. Whoever listens is found afterwards (`runtime/event_processor.py`).

Every door that takes events ends here: the API, bridges, webhooks, approvals, the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from workflows.dsl.cloud_events import IDENTIFYING, LONGEST_BYTES, is_too_long
from workflows.runtime import event_rows
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.event_rows import Event
from workflows.runtime.process import current
from workflows.runtime.sqlite import stored

STATEMENT_BYTES = 8 * 1024 * 1024
"""Events that travel to the database in one statement, more or less."""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a batch of events."""

    accepted: int
    """Stored now."""

    duplicates: int
    """Known already by source and id; the first one counts."""


def receive(events: Sequence[Event], *, namespace: str, by: str) -> Received:
    """Accept CloudEvents: all of them, in one transaction, or none. Those of one source are offered in this order.

    Args:
        events: In JSON format.
        namespace: Where they live if events do not all share one bus (`lemline.events.scope`).
        by: Who brings them.

    Raises:
        InvalidRequestError: One of them is no CloudEvent; `errors` says which, by index.
        OverloadedError: Too many wait already; nothing was stored.
    """
    _check(events)
    process = current()
    process.backlog.ask(len(events))
    now = process.clock.now()
    rows = [event_rows.row_of(event, namespace, by, now) for event in events]
    with transaction.atomic():
        accepted = _insert(rows)
        transaction.on_commit(process.stepper.expect_events)
    return Received(accepted, len(events) - accepted)


def _check(events: Sequence[Event]) -> None:
    errors: list[dict[str, object]] = []
    for index, event in enumerate(events):
        for name in IDENTIFYING:
            value = event.get(name)
            if not isinstance(value, str) or not value:
                message = f"`{name}` must be a text that is not empty"
            elif is_too_long(name, value):
                message = f"`{name}` is longer than {LONGEST_BYTES} bytes"
            else:
                continue
            errors.append({"index": index, "pointer": f"/{name}", "message": message})
    if errors:
        raise InvalidRequestError("these are no CloudEvents that can be accepted", errors=tuple(errors))


def _insert(rows: Sequence[tuple[object, ...]]) -> int:
    if connection.vendor == "sqlite":
        raw = connection.connection
        return event_rows.insert(lambda sql, values: raw.execute(sql, stored(values)), rows)
    accepted = 0
    with connection.cursor() as cursor:
        for part in _parts(rows):
            cursor.execute(event_rows.insertion(part))  # type: ignore[arg-type]
            accepted += cursor.rowcount
    return accepted


def _parts(rows: Sequence[tuple[object, ...]]) -> list[list[tuple[object, ...]]]:
    parts: list[list[tuple[object, ...]]] = []
    size = STATEMENT_BYTES
    for row in rows:
        if size >= STATEMENT_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += len(row[4])  # type: ignore[arg-type]
    return parts
