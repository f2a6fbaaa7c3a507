"""The rows of events that are accepted: by a door, or by the step that emits them.

Ids are given in the order in which the events are listed, but rows are inserted in the order of their unique keys, so
that two who bring the same events do not wait for each other in a circle.

The ids of one lane are in the order of acceptance as far as there is one: whoever begins to send an event after another
one was accepted gets the greater id, and whoever sees that event sees the other one, too.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from workflows.dsl.jsontext import Json, encode
from workflows.runtime import literals

Event = Mapping[str, Json]
"""A CloudEvent in JSON format."""

LANES = 32
"""Queues of events. Those of one source share one, which one processor works on at a time, in order."""

COLUMNS = ("scope", "source", "event_id", "type", "event", "received_at", "expires_at", "by", "lane")
_STORED = ", ".join(f'"{column}"' for column in COLUMNS[:-1])

_INSERT = (
    b"WITH given AS MATERIALIZED (SELECT nextval('workflows_receivedevent_id_seq') AS id, v.* FROM (VALUES %s)"
    b" v(" + ", ".join(f'"{column}"' for column in COLUMNS).encode() + b")),"
    b" stored AS (INSERT INTO workflows_receivedevent (id, " + _STORED.encode() + b") SELECT id, " + _STORED.encode() +
    b" FROM given ORDER BY scope, source, event_id ON CONFLICT DO NOTHING RETURNING id)"
    b" INSERT INTO workflows_pendingevent (lane, event)"
    b" SELECT given.lane, given.id FROM given JOIN stored ON stored.id = given.id;"
)  # fmt: skip
_TYPES = (
    b"text", b"text", b"text", b"text", b"bytea", b"timestamptz", b"timestamptz", b"text", b"smallint",
)  # fmt: skip

_ONE = f"INSERT INTO workflows_receivedevent ({_STORED}) VALUES ({', '.join('?' * 8)}) ON CONFLICT DO NOTHING"
_ONE_PENDING = "INSERT INTO workflows_pendingevent (lane, event) VALUES (?, ?)"


def scope_of(namespace: str) -> str:
    """Return what an event of this namespace is unique and heard of in."""
    return namespace if settings.LEMLINE.events.scope == "namespace" else ""


def lane_of(source: str) -> int:
    """Return the lane of a source's events."""
    return zlib.crc32(source.encode("utf-8", "replace")) % LANES


def row_of(event: Event, namespace: str, by: str, now: datetime) -> tuple[object, ...]:
    """Return the values of `COLUMNS`."""
    source = str(event["source"])
    expires_at = now + settings.LEMLINE.workflow.event_correlation_ttl
    return (
        scope_of(namespace), source, str(event["id"]), str(event["type"]), encode(event), now, expires_at, by[:150],
        lane_of(source),
    )  # fmt: skip


def insertion(rows: Sequence[tuple[object, ...]]) -> bytes:
    """Return PostgreSQL's statement for these rows. The number of rows that it writes is that of the new events."""
    return _INSERT % literals.rows(rows, _TYPES)


def insert(run: Callable[[str, Sequence[object]], Any], rows: Sequence[tuple[object, ...]]) -> int:
    """Insert these rows into SQLite, and return how many are new.

    Args:
        run: Executes a statement by a transaction that has begun, and returns its cursor.
        rows: What `row_of` gave.
    """
    fresh = 0
    for *values, lane in rows:
        cursor = run(_ONE, values)
        if cursor.rowcount:
            run(_ONE_PENDING, (lane, cursor.lastrowid))
            fresh += 1
    return fresh
