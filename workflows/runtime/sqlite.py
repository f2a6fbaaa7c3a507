"""Records on SQLite: the database's one write lock is every instance's lock.

`FOR UPDATE` is silently nothing here, so each transaction begins IMMEDIATE. One process writes at a time;
others wait for `busy_timeout`.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connections

from workflows.runtime import event_rows, subscriptions
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

_COLUMNS = "SELECT instance, definition, priority, step, state, input, due_at, parked"
_ROW = _COLUMNS + " FROM workflows_checkpoint WHERE instance IN "
# Only the sweeper puts off its look: else a lost branch would hide behind a busy sibling.
_UPDATE = (
    "UPDATE workflows_checkpoint SET step = ?, state = ?, due_at = ?,"
    " leased_until = CASE WHEN ? THEN MIN(COALESCE(leased_until, ?), ?) END, has_open_work = ?, parked = ?"
    " WHERE instance = ? AND step = ?"
)
_GRAVE = (
    "UPDATE workflows_checkpoint SET due_at = NULL, leased_until = NULL, has_open_work = 0, parked = 1"
    " WHERE instance = ?1 AND EXISTS (SELECT 1 FROM workflows_instance WHERE id = ?1 AND ended_at IS NULL)"
)
_GRAVE_HISTORY = (
    "INSERT INTO workflows_history"
    " (instance, step, ordinal, is_phase, position, name, kind, status, attempt, ended_at, pool, worker, problem,"
    " reason, by) SELECT instance, step, ?, 1, '', '', '', 'faulted', 1, ?, '', '', ?, '', '' FROM workflows_checkpoint"
    " WHERE instance = ? ON CONFLICT DO NOTHING"
)
_BURIED = (
    "SELECT i.namespace, i.workflow, i.version, c.step FROM workflows_checkpoint c"
    " JOIN workflows_instance i ON i.id = c.instance WHERE c.instance = ?"
)
_PHASE = (
    "UPDATE workflows_instance SET status = ?, started_at = ?, ended_at = ?, output = ?, context = ?, problem = ?,"
    " problem_type = ? WHERE id = ?"
)


def _insert(table: str, columns: Sequence[str], ending: str = "") -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO workflows_{table} ({names}) VALUES ({', '.join('?' * len(columns))}){ending}"


_INSTANCE = _insert("instance", INSTANCE_COLUMNS)
_CHECKPOINT = _insert("checkpoint", CHECKPOINT_COLUMNS)
_HISTORY = _insert("history", HISTORY_COLUMNS)
_LABEL = _insert("label", LABEL_COLUMNS)
_OUTGOING = _insert("outgoingevent", OUTGOING_COLUMNS)
_OUTGOING_INSTANCE = OUTGOING_COLUMNS.index("instance")
_INSTANCE_IDS = (INSTANCE_COLUMNS.index("id"), INSTANCE_COLUMNS.index("parent"))


class SqliteRecords:
    """Records of one database alias."""

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias

    def lock(self, ids: Sequence[str], *, wait: bool, births: Sequence[Birth] = ()) -> Locked:
        """Begin IMMEDIATE: from here on nobody else writes, so nothing is ever busy."""
        connection = self._connection()
        self._run(connection, "BEGIN IMMEDIATE")
        existing = set()
        for birth in births:
            sql = _INSTANCE + " ON CONFLICT DO NOTHING"
            if not self._run(connection, sql, stored(instance_values(birth, unborn(birth)), _INSTANCE_IDS)).rowcount:
                existing.add(birth.instance_id)
        return Locked(self._read(connection, ids), datetime.now(UTC), frozenset(), frozenset(existing))

    def save(self, changes: Changes) -> None:
        """Write everything and commit."""
        self.write(changes)
        self._run(self._connection(), "COMMIT")

    def write(self, changes: Changes) -> None:
        """Write everything."""
        connection = self._connection()
        for sql, rows in _statements(changes):
            written = self._run_many(connection, sql, rows)
            if sql is _UPDATE and rows and written != len(rows):
                raise ContentionError("somebody else wrote one of these checkpoints")
        event_rows.insert(lambda sql, values: self._run(connection, sql, stored(values)), changes.events)
        if changes.listening:
            subscriptions.write(partial(self._run_many, connection), stored, changes.listening)

    def rollback(self) -> None:
        """Give up the transaction."""
        connection = connections[self._alias].connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            with contextlib.suppress(Exception):
                connections[self._alias].close()
            connections[self._alias].connection = None

    def peek(self, ids: Sequence[str]) -> dict[str, Row]:
        """Read outside of a transaction."""
        return self._read(self._connection(), ids)

    def steps(self, ids: Sequence[str]) -> dict[str, int]:
        """Read the step numbers only."""
        sql = f"SELECT instance, step FROM workflows_checkpoint WHERE instance IN {_places(ids)}"
        found = self._run(self._connection(), sql, [_hex(instance) for instance in ids])
        return {str(UUID(instance)): step for instance, step in found}

    def now(self) -> datetime:
        """The one machine's time is the database's."""
        return datetime.now(UTC)

    def open_work(self, limit: int, after: str, *, early: bool = False) -> list[Row]:
        """Walk the index of rows with open work."""
        sql = (
            f"{_COLUMNS} FROM workflows_checkpoint WHERE has_open_work AND instance > ? AND (? OR leased_until <= ?)"
            " ORDER BY instance LIMIT ?"
        )
        return list(map(_row, self._run(self._connection(), sql, (_hex(after), early, _moment(self.now()), limit))))

    def looked(self, ids: Sequence[str], seconds: float) -> None:
        """Set `leased_until`."""
        moment = _moment(self.now() + timedelta(seconds=seconds))
        sql = "UPDATE workflows_checkpoint SET leased_until = ? WHERE instance = ?"
        self._run_many(self._connection(), sql, [(moment, _hex(instance)) for instance in ids])

    def ring_all(self) -> None:
        """Mark them as due."""
        now = _moment(self.now())
        where = "has_open_work AND NOT parked AND (due_at IS NULL OR due_at > ?)"
        sql = f"UPDATE workflows_checkpoint SET due_at = ? WHERE {where}"
        self._run(self._connection(), sql, (now, now))

    def bury(self, instance_id: str, problem: bytes, problem_type: str, tell: Tell = nothing_told) -> None:
        """Fault it; without a checkpoint it has ended already."""
        connection, instance = self._connection(), _hex(instance_id)
        self._run(connection, "BEGIN IMMEDIATE")
        if self._run(connection, _GRAVE, (instance,)).rowcount:
            at = self.now()
            now = _moment(at)
            self._run(connection, _GRAVE_HISTORY, (GRAVE_ORDINAL, now, problem, instance))
            [(namespace, name, version, step)] = self._run(connection, _BURIED, (instance,))
            told = tell(Grave(instance_id, (namespace, name, version), step, at))
            self._run_many(connection, _OUTGOING, [stored(values, (_OUTGOING_INSTANCE,)) for values in told])
            values = "status = 'faulted', problem = ?, problem_type = ?, ended_at = ?, given_up = 1"
            sql = f"UPDATE workflows_instance SET {values} WHERE id = ?"
            self._run(connection, sql, (problem, problem_type, now, instance))
        self._run(connection, "COMMIT")

    def next_due(self) -> tuple[datetime | None, datetime]:
        """Look at the first entry of the index of due rows."""
        [(due_at,)] = self._run(self._connection(), "SELECT MIN(due_at) FROM workflows_checkpoint").fetchall()
        return read_moment(due_at), datetime.now(UTC)

    def lock_due(self, limit: int, but: Sequence[str]) -> Locked:
        """Begin IMMEDIATE, and walk the index of due rows."""
        connection = self._connection()
        self._run(connection, "BEGIN IMMEDIATE")
        now = datetime.now(UTC)
        sql = f"{_COLUMNS} FROM workflows_checkpoint WHERE due_at <= ? AND instance NOT IN {_places(but)}"
        values = (_moment(now), *map(_hex, but), limit)
        found = map(_row, self._run(connection, f"{sql} ORDER BY due_at LIMIT ?", values))
        return Locked({row.instance_id: row for row in found}, now, frozenset(), frozenset())

    def postpone(self, ids: Sequence[str], seconds: float) -> None:
        """Set `due_at`, unless it is earlier already."""
        moment = _moment(datetime.now(UTC) + timedelta(seconds=seconds))
        sql = "UPDATE workflows_checkpoint SET due_at = MIN(COALESCE(due_at, ?), ?) WHERE instance = ?"
        self._run_many(self._connection(), sql, [(moment, moment, _hex(instance)) for instance in ids])

    def _read(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Row]:
        if not ids:
            return {}
        found = self._run(connection, _ROW + _places(ids), [_hex(instance) for instance in ids])
        return {row.instance_id: row for row in map(_row, found)}

    def _connection(self) -> sqlite3.Connection:
        connection = connections[self._alias]
        try:
            connection.ensure_connection()
        except Exception as error:
            raise UnreachableError(str(error)) from error
        raw: sqlite3.Connection = connection.connection
        return raw

    def _run(self, connection: sqlite3.Connection, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            raise _translated(error) from error

    def _run_many(self, connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[object]]) -> int:
        try:
            return connection.executemany(sql, rows).rowcount
        except sqlite3.OperationalError as error:
            raise _translated(error) from error


def _translated(error: sqlite3.OperationalError) -> Exception:
    if "locked" in str(error) or "busy" in str(error):
        return ContentionError(str(error))
    return UnreachableError(str(error))


def _statements(changes: Changes) -> Iterable[tuple[str, list[tuple[object, ...]]]]:
    fresh = [instance_values(birth, phase) for birth, phase, _ in changes.births if not birth.may_exist]
    claimed = [phase for birth, phase, _ in changes.births if birth.may_exist]
    kept = [checkpoint_values(birth, after) for birth, _, after in changes.births if after is not None]
    after = map(_after_values, changes.checkpoints)
    yield _INSTANCE, [stored(values, _INSTANCE_IDS) for values in fresh]
    yield _CHECKPOINT, [stored(values, (0,)) for values in kept]
    yield _LABEL, [stored(values, (0,)) for values in label_values(birth for birth, _, _ in changes.births)]
    yield _UPDATE, [stored(values, (8,)) for values in after]
    yield _HISTORY, [stored(values, (0,)) for values in changes.history]
    yield _PHASE, [stored(_phase_values(phase), (7,)) for phase in (*claimed, *changes.phases)]
    marks: list[tuple[object, ...]] = [(value, _hex(instance)) for instance, value in changes.given_up.items()]
    yield "UPDATE workflows_instance SET given_up = ? WHERE id = ?", marks
    yield "DELETE FROM workflows_checkpoint WHERE instance = ?", [(_hex(instance),) for instance in changes.removed]
    yield _OUTGOING, [stored(values, (_OUTGOING_INSTANCE,)) for values in changes.outgoing]


def _after_values(after: Checkpointed) -> tuple[object, ...]:
    return (
        after.step, after.state, after.due_at, after.has_open_work, after.leased_until, after.leased_until,
        after.has_open_work, after.parked, after.instance_id, after.before,
    )  # fmt: skip


def _phase_values(phase: Phase) -> tuple[object, ...]:
    return (
        phase.status, phase.started_at, phase.ended_at, phase.output, phase.context, phase.problem, phase.problem_type,
        phase.instance_id,
    )  # fmt: skip


def stored(values: Sequence[object], ids: Sequence[int] = ()) -> tuple[object, ...]:
    """Spell values as Django's SQLite backend does: times as text in UTC, ids as hexadecimal digits."""
    spelled = [_moment(value) if isinstance(value, datetime) else value for value in values]
    for place in ids:
        identifier = spelled[place]
        spelled[place] = None if identifier is None else _hex(str(identifier))
    return tuple(spelled)


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _hex(identifier: str) -> str:
    return identifier.replace("-", "")


def _places(ids: Sequence[str]) -> str:
    return f"({', '.join('?' * len(ids))})"


def _row(values: Sequence[Any]) -> Row:
    instance, definition, priority, step, state, raw, due_at, parked = values
    moment = read_moment(due_at)
    return Row(str(UUID(instance)), definition, priority, step, unpack(state), raw, moment, bool(parked))


def read_moment(stored: Any) -> datetime | None:
    """Return a time that was stored as text."""
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
