"""Receiving CloudEvents: accepted means stored, once per source and id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from workflows.dsl.jsontext import Json, encode

ROWS = 1000
"""Of one statement."""

COLUMNS = ("scope", "source", "event_id", "type", "event", "received_at")


@dataclass(frozen=True)
class Received:
    """What became of events that were offered."""

    accepted: int
    duplicates: int
    """Known by source and id already."""


def receive(events: Sequence[Mapping[str, Json]], *, namespace: str, by: str) -> Received:
    """Store events in one transaction, each once by source and id.

    Args:
        events: CloudEvents in JSON format.
        namespace: Where they live, when namespaces have buses of their own.
        by: Who brings them.
    """
    now = timezone.now()
    rows = [("", event["source"], event["id"], event["type"], encode(event), now) for event in events]
    accepted = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, len(rows), ROWS):
            some = rows[start : start + ROWS]
            values = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(some))
            cursor.execute(
                f"INSERT INTO workflows_receivedevent ({', '.join(COLUMNS)}) VALUES {values} ON CONFLICT DO NOTHING",
                [value for row in some for value in row],
            )
            accepted += cursor.rowcount
    return Received(accepted, len(rows) - accepted)
