"""Records on PostgreSQL: rows are locked with SKIP LOCKED, and a batch costs two round trips.

psycopg2 puts values into the text on the client's side, so one `execute` carries several statements.
The connection is Django's own, in autocommit; BEGIN and COMMIT are part of the text.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg2
from django.db import connections

from workflows.runtime import event_rows, literals, subscriptions
from workflows.runtime.records import (
    CHECKPOINT_COLUMNS,
    GRAVE_ORDINAL,
    HISTORY_COLUMNS,
    INSTANCE_COLUMNS,
    LABEL_COLUMNS,
    OUTGOING_COLUMNS,
    Birth,
    Changes,
    Checkpointed,
    ContentionError,
    Grave,
    Locked,
    Phase,
    Row,
    Tell,
    UnreachableError,
    checkpoint_values,
    instance_values,
    label_values,
    nothing_told,
    unborn,
    unpack,
)

_ROW = (
    "SELECT c.instance::text, c.definition, c.priority, c.step, c.state, c.input, c.due_at, c.parked,"
    " clock_timestamp() "
)
_LOCK = "FROM workflows_checkpoint c WHERE c.instance = ANY(%s::uuid[]) ORDER BY c.instance FOR UPDATE"
_NEXT_DUE = "SELECT min(due_at), clock_timestamp() FROM workflows_checkpoint"
# Not by `clock_timestamp()`: it may change from row to row, so no index is searched by it, but walked from end to end.
_LOCK_DUE = (
    "FROM workflows_checkpoint c WHERE c.due_at <= statement_timestamp() AND c.instance <> ALL(%s::uuid[])"
    " ORDER BY c.due_at LIMIT %s FOR UPDATE SKIP LOCKED"
)
# Only the sweeper puts off its look: else a lost branch would hide behind a busy sibling.
_UPDATE = (
    b"UPDATE workflows_checkpoint c SET step = v.step, state = v.state, due_at = v.due_at,"
    b" leased_until = CASE WHEN v.has_open_work THEN LEAST(c.leased_until, v.leased_until) END,"
    b" has_open_work = v.has_open_work, parked = v.parked"
    b" FROM (VALUES %s) v(instance, before, step, state, due_at, leased_until, has_open_work, parked)"
    b" WHERE c.instance = v.instance AND c.step = v.before;"
)
_PHASE = (
    b"UPDATE workflows_instance i SET status = v.status, started_at = v.started_at, ended_at = v.ended_at,"
    b" output = v.output, context = v.context, problem = v.problem, problem_type = v.problem_type"
    b" FROM (VALUES %s) v(id, status, started_at, ended_at, output, context, problem, problem_type)"
    b" WHERE i.id = v.id;"
)
_CHECKPOINT_TYPES = (
    b"uuid", b"bigint", b"bigint", b"bytea", b"timestamptz", b"timestamptz", b"boolean", b"boolean",
)  # fmt: skip
_PHASE_TYPES = (b"uuid", b"text", b"timestamptz", b"timestamptz", b"bytea", b"bytea", b"bytea", b"text")


def _insert(table: str, columns: Sequence[str], ending: str = "") -> bytes:
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO workflows_{table} ({names}) VALUES %s{ending};".encode()


_INSTANCES = _insert("instance", INSTANCE_COLUMNS)
_INSTANCES_FIRST = _insert("instance", INSTANCE_COLUMNS, " ON CONFLICT DO NOTHING RETURNING id::text")
_CHECKPOINTS = _insert("checkpoint", CHECKPOINT_COLUMNS)
_HISTORY = _insert("history", HISTORY_COLUMNS)
_LABELS = _insert("label", LABEL_COLUMNS)
_OUTGOING = _insert("outgoingevent", OUTGOING_COLUMNS)
_GRAVE = (
    "WITH grave AS (UPDATE workflows_checkpoint c SET due_at = NULL, leased_until = NULL, has_open_work = false,"
    " parked = true FROM workflows_instance i WHERE c.instance = %(id)s::uuid AND i.id = c.instance"
    " AND i.ended_at IS NULL RETURNING c.instance, c.step, clock_timestamp() AS at), told AS ("
    "INSERT INTO workflows_history (instance, step, ordinal, is_phase, position, name, kind, status, attempt, ended_at,"
    " pool, worker, problem, reason, by)"
    " SELECT instance, step, %(ordinal)s, true, '', '', '', 'faulted', 1, at, '', '', %(problem)s, '', ''"
    " FROM grave ON CONFLICT DO NOTHING)"
    " UPDATE workflows_instance SET status = 'faulted', problem = %(problem)s, problem_type = %(type)s,"
    " ended_at = grave.at, given_up = true FROM grave WHERE id = grave.instance"
    " RETURNING namespace, workflow, version, grave.step, grave.at"
)
_GIVEN_UP = (
    "UPDATE workflows_instance SET given_up = %(given_up)s WHERE id = %(id)s::uuid AND given_up <> %(given_up)s;"
)
_CONTENTION = ("40", "55P03")
"""Starts of SQLSTATE: deadlock, serialization, a lock that was not to be had in time."""

_GONE = ("08", "53", "57P", "58", "25P03", "25P04", "25006")
"""No connection, no resources, shutting down, its disk, idle for too long in a transaction, a standby by now. Not a
statement that took too long or was too large: that is the fault of what was to be written.
"""


class PostgresRecords:
    """Records of one database alias."""

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias

    def lock(self, ids: Sequence[str], *, wait: bool, births: Sequence[Birth] = ()) -> Locked:
        """Begin, insert what may exist already, lock."""
        cursor = self._cursor()
        existing = self._claim_births(cursor, births)
        begin = "" if births else "BEGIN; "
        if not ids:
            return Locked({}, self._now(cursor, begin), frozenset(), existing)
        found = self._fetch(cursor, begin + _ROW + _LOCK + ("" if wait else " SKIP LOCKED"), (list(ids),))
        rows = {values[0]: _row(values) for values in found}
        missing = [instance for instance in ids if instance not in rows]
        if found and not missing:
            return Locked(rows, found[0][-1], frozenset(), existing)
        busy, now = self._busy(cursor, missing)
        return Locked(rows, now, busy, existing)

    def save(self, changes: Changes) -> None:
        """Write everything with one text, and commit."""
        connection = connections[self._alias].connection
        if connection is None:
            raise UnreachableError("the connection that held the locks is gone")
        cursor = connection.cursor()
        parts = list(_statements(cursor, changes))
        parts.append(b"COMMIT")
        self._run(cursor, b" ".join(parts))

    def write(self, changes: Changes) -> None:
        """Write everything with one text."""
        cursor = self._cursor()
        self._run(cursor, b" ".join(_statements(cursor, changes)))

    def rollback(self) -> None:
        """Give up the transaction."""
        connection = connections[self._alias]
        if connection.connection is None:
            return
        try:
            connection.connection.cursor().execute("ROLLBACK")
        except psycopg2.Error:
            self._close()

    def peek(self, ids: Sequence[str]) -> dict[str, Row]:
        """Read without a lock."""
        found = self._fetch(
            self._cursor(), _ROW + "FROM workflows_checkpoint c WHERE c.instance = ANY(%s::uuid[])", (list(ids),)
        )
        return {values[0]: _row(values) for values in found}

    def steps(self, ids: Sequence[str]) -> dict[str, int]:
        """Read the step numbers only."""
        sql = "SELECT instance::text, step FROM workflows_checkpoint WHERE instance = ANY(%s::uuid[])"
        return dict(self._fetch(self._cursor(), sql, (list(ids),)))

    def now(self) -> datetime:
        """Ask."""
        return self._now(self._cursor())

    def open_work(self, limit: int, after: str, *, early: bool = False) -> list[Row]:
        """Walk the index of rows with open work."""
        sql = (
            "FROM workflows_checkpoint c WHERE c.has_open_work AND c.instance > %s::uuid"
            " AND (%s OR c.leased_until <= clock_timestamp()) ORDER BY c.instance LIMIT %s"
        )
        found = self._fetch(self._cursor(), _ROW + sql, (after or str(UUID(int=0)), early, limit))
        return [_row(values) for values in found]

    def looked(self, ids: Sequence[str], seconds: float) -> None:
        """Set `leased_until`."""
        sql = (
            "UPDATE workflows_checkpoint SET leased_until = clock_timestamp() + %s * interval '1 second'"
            " WHERE instance IN (SELECT instance FROM workflows_checkpoint WHERE instance = ANY(%s::uuid[])"
            " ORDER BY instance FOR UPDATE SKIP LOCKED)"
        )
        self._run(self._cursor(), sql, (seconds, list(ids)))

    def ring_all(self) -> None:
        """Mark them as due."""
        sql = (
            "UPDATE workflows_checkpoint SET due_at = clock_timestamp()"
            " WHERE has_open_work AND NOT parked AND (due_at IS NULL OR due_at > clock_timestamp())"
        )
        self._run(self._cursor(), sql)

    def bury(self, instance_id: str, problem: bytes, problem_type: str, tell: Tell = nothing_told) -> None:
        """Fault it under the lock of its checkpoint; without one it has ended already."""
        values = {"id": instance_id, "problem": problem, "type": problem_type, "ordinal": GRAVE_ORDINAL}
        cursor = self._cursor()
        outgoing: list[tuple[object, ...]] = []
        for *definition, step, at in self._fetch(cursor, f"BEGIN; {_GRAVE}", values):
            outgoing += tell(Grave(instance_id, (definition[0], definition[1], definition[2]), step, at))
        if outgoing:
            self._run(cursor, _OUTGOING % literals.rows(outgoing))
        self._run(cursor, "COMMIT")

    def next_due(self) -> tuple[datetime | None, datetime]:
        """Look at the first entry of the index of due rows."""
        [answer] = self._fetch(self._cursor(), _NEXT_DUE, ())
        return answer[0], answer[1]

    def lock_due(self, limit: int, but: Sequence[str]) -> Locked:
        """Begin, and walk the index of due rows."""
        cursor = self._cursor()
        found = self._fetch(cursor, "BEGIN; " + _ROW + _LOCK_DUE, (list(but), limit))
        now = found[0][-1] if found else self._now(cursor)
        return Locked({values[0]: _row(values) for values in found}, now, frozenset(), frozenset())

    def postpone(self, ids: Sequence[str], seconds: float) -> None:
        """Set `due_at`, unless it is earlier already."""
        sql = (
            "UPDATE workflows_checkpoint SET due_at = LEAST(due_at, clock_timestamp() + %s * interval '1 second')"
            " WHERE instance IN (SELECT instance FROM workflows_checkpoint WHERE instance = ANY(%s::uuid[])"
            " ORDER BY instance FOR UPDATE)"
        )
        self._run(self._cursor(), sql, (seconds, list(ids)))

    def _claim_births(self, cursor: Any, births: Sequence[Birth]) -> frozenset[str]:
        if not births:
            return frozenset()
        ordered = sorted(births, key=lambda birth: (birth.idempotency_key or "", birth.instance_id))
        rows = (instance_values(birth, unborn(birth)) for birth in ordered)
        self._run(cursor, b"BEGIN; " + _INSTANCES_FIRST % literals.rows(rows))
        inserted = {values[0] for values in cursor.fetchall()}
        return frozenset(birth.instance_id for birth in births if birth.instance_id not in inserted)

    def _busy(self, cursor: Any, missing: Sequence[str]) -> tuple[frozenset[str], datetime]:
        sql = (
            "SELECT clock_timestamp(), ARRAY(SELECT instance::text FROM workflows_checkpoint"
            " WHERE instance = ANY(%s::uuid[]))"
        )
        [(now, busy)] = self._fetch(cursor, sql, (list(missing),))
        return frozenset(busy), now

    def _now(self, cursor: Any, before: str = "") -> datetime:
        [(now,)] = self._fetch(cursor, f"{before}SELECT clock_timestamp()", ())
        moment: datetime = now
        return moment

    def _cursor(self) -> Any:
        connection = connections[self._alias]
        try:
            connection.ensure_connection()
        except Exception as error:
            raise UnreachableError(str(error)) from error
        return connection.connection.cursor()

    def _fetch(self, cursor: Any, sql: str, values: Sequence[object] | Mapping[str, object]) -> list[Any]:
        self._run(cursor, sql, values)
        return list(cursor.fetchall())

    def _run(
        self, cursor: Any, sql: str | bytes, values: Sequence[object] | Mapping[str, object] | None = None
    ) -> None:
        try:
            cursor.execute(sql, values)
        except psycopg2.Error as error:
            code = error.pgcode or ""
            if code.startswith(_CONTENTION):
                raise ContentionError(str(error)) from error
            is_lost = not code and isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
            if is_lost or cursor.connection.closed or code.startswith(_GONE):
                self._close()
                raise UnreachableError(str(error)) from error
            raise

    def _close(self) -> None:
        """Let go of a connection that is beyond use."""
        with contextlib.suppress(Exception):
            connections[self._alias].close()
        connections[self._alias].connection = None


def _statements(cursor: Any, changes: Changes) -> Iterable[bytes]:
    if changes.births:
        yield from _births(changes)
    if changes.checkpoints:
        yield _UPDATE % literals.rows(map(_after_values, changes.checkpoints), _CHECKPOINT_TYPES)
    if changes.history:
        yield _HISTORY % literals.rows(changes.history)
    if changes.phases:
        yield _PHASE % literals.rows(map(_phase_values, changes.phases), _PHASE_TYPES)
    for instance, given_up in changes.given_up.items():
        yield cursor.mogrify(_GIVEN_UP, {"id": instance, "given_up": given_up})
    if changes.removed:
        yield cursor.mogrify("DELETE FROM workflows_checkpoint WHERE instance = ANY(%s::uuid[]);", (changes.removed,))
    if changes.outgoing:
        yield _OUTGOING % literals.rows(changes.outgoing)
    if changes.events:
        yield event_rows.insertion(changes.events)
    if changes.listening:
        yield from subscriptions.statements(changes.listening)


def _births(changes: Changes) -> Iterable[bytes]:
    fresh = [instance_values(birth, phase) for birth, phase, _ in changes.births if not birth.may_exist]
    if fresh:
        yield _INSTANCES % literals.rows(fresh)
    claimed = [_phase_values(phase) for birth, phase, _ in changes.births if birth.may_exist]
    if claimed:
        yield _PHASE % literals.rows(claimed, _PHASE_TYPES)
    kept = [checkpoint_values(birth, after) for birth, _, after in changes.births if after is not None]
    if kept:
        yield _CHECKPOINTS % literals.rows(kept)
    if labels := label_values(birth for birth, _, _ in changes.births):
        yield _LABELS % literals.rows(labels)


def _after_values(after: Checkpointed) -> tuple[object, ...]:
    return (
        after.instance_id, after.before, after.step, after.state, after.due_at, after.leased_until,
        after.has_open_work, after.parked,
    )  # fmt: skip


def _phase_values(phase: Phase) -> tuple[object, ...]:
    return (
        phase.instance_id, phase.status, phase.started_at, phase.ended_at, phase.output, phase.context, phase.problem,
        phase.problem_type,
    )  # fmt: skip


def _row(values: Sequence[Any]) -> Row:
    instance, definition, priority, step, state, raw, due_at, parked, _ = values
    return Row(instance, definition, priority, step, unpack(bytes(state)), bytes(raw), due_at, parked)
