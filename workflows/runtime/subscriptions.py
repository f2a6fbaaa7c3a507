"""What a step changes about who listens: rows of its own transaction.

A subscription is seen by whoever looks for listeners exactly when the state that waits for its events is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflows import models
from workflows.dsl.jsontext import Json
from workflows.engine.commands import Cancel, Subscribe
from workflows.engine.correlation import Pattern
from workflows.engine.state import State
from workflows.runtime import literals
from workflows.runtime.interests import Known, wanted_by

Wait = tuple[str, str]
"""Instance and wait."""

COLUMNS = ("match", "interest", "instance", "wait", "schedule", "since")
INTEREST_COLUMNS = ("digest", "type", "text", "kept", "indexed")


@dataclass(slots=True)
class Listening:
    """What one transaction changes."""

    closed: list[Wait] = field(default_factory=list)
    opened: list[tuple[object, ...]] = field(default_factory=list)
    """Values of `COLUMNS`; ids are texts."""

    interests: dict[str, Known] = field(default_factory=dict)
    """By digest. Mostly they are there already."""

    look_backs: list[Wait] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.closed or self.opened)

    def add(
        self, instance: str, commands: Sequence[Subscribe | Cancel], scope: str, *, before: State, after: State
    ) -> None:
        """Add what these commands come to: what was opened and dropped again is nothing.

        Args:
            instance: Whose.
            commands: About waits for events, in their order.
            scope: Of the events that it hears of.
            before: The state that is stored.
            after: The one that will be.
        """
        for name, command in {command.wait_id: command for command in commands}.items():
            was_open = name in before.waits
            if was_open:
                self.closed.append((instance, name))
            if isinstance(command, Subscribe) and name in after.waits:
                self._open(instance, command, scope)
                if not was_open:
                    self.look_backs.append((instance, name))

    def _open(self, instance: str, command: Subscribe, scope: str) -> None:
        for pattern in command.patterns:
            kept = command.correlated and bool(pattern.correlate)
            known, match = wanted_by(pattern, command.bound, scope, kept=kept)
            self.interests[known.digest] = known
            since = None if kept else command.since
            self.opened.append((str(match), known.digest, instance, command.wait_id, None, since))


def _insert(table: str, columns: Sequence[str], ending: str = "") -> bytes:
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO workflows_{table} ({names}) VALUES %s{ending};".encode()


_CLOSE = (
    b"DELETE FROM workflows_subscription s USING (VALUES %s) v(instance, wait)"
    b" WHERE s.instance = v.instance AND s.wait = v.wait;"
)
_INTERESTS = _insert("interest", INTEREST_COLUMNS, " ON CONFLICT DO NOTHING")
_OPEN = (
    b"INSERT INTO workflows_subscription (" + ", ".join(f'"{name}"' for name in COLUMNS).encode() + b") SELECT * FROM"
)
_OPEN += b" (VALUES %s) v;"
_OPEN_TYPES = (b"uuid", b"text", b"uuid", b"text", b"bigint", b"timestamptz")
_LOOK_BACKS = _insert("lookback", ("instance", "wait"))


def statements(listening: Listening) -> Iterable[bytes]:
    """Yield PostgreSQL's statements."""
    if listening.closed:
        yield _CLOSE % literals.rows(listening.closed, (b"uuid", b"text"))
    if listening.opened:
        yield _INTERESTS % literals.rows(listening.interests[digest].row for digest in sorted(listening.interests))
        yield _OPEN % literals.rows(listening.opened, _OPEN_TYPES)
    if listening.look_backs:
        yield _LOOK_BACKS % literals.rows(listening.look_backs)


def write(
    run: Callable[[str, Iterable[Sequence[object]]], Any],
    spell: Callable[[Sequence[object], Sequence[int]], Sequence[object]],
    listening: Listening,
) -> None:
    """Write the same into SQLite.

    Args:
        run: Executes a statement for each of some rows.
        spell: Makes values as they are stored there, with ids at these places.
        listening: What to write.
    """
    run(
        "DELETE FROM workflows_subscription WHERE instance = ? AND wait = ?", [spell(w, (0,)) for w in listening.closed]
    )
    run(_qmarks("interest", INTEREST_COLUMNS, " ON CONFLICT DO NOTHING"), [k.row for k in listening.interests.values()])
    run(_qmarks("subscription", COLUMNS), [spell(row, (0, 2)) for row in listening.opened])
    run(_qmarks("lookback", ("instance", "wait")), [spell(wait, (0,)) for wait in listening.look_backs])


def _qmarks(table: str, columns: Sequence[str], ending: str = "") -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO workflows_{table} ({names}) VALUES ({', '.join('?' * len(columns))}){ending}"


def subscribe_schedule(schedule: int, patterns: Sequence[Pattern], scope: str, since: datetime) -> None:
    """Have a schedule be offered the events that one of these filters fits, from a time on, and no others.

    Part of the transaction that the caller has begun, with the schedule's row locked or just written.
    """
    unsubscribe_schedule(schedule)
    nothing: Mapping[str, Json] = {}
    wanted = [wanted_by(pattern, nothing, scope, kept=False) for pattern in patterns]
    models.Interest.objects.bulk_create(
        (
            models.Interest(digest=known.digest, type=known.interest.type, text=str(known.row[2]), kept=known.kept)
            for known in {known.digest: known for known, _ in wanted}.values()
        ),
        ignore_conflicts=True,
    )
    models.Subscription.objects.bulk_create(
        models.Subscription(match=match, interest=digest, schedule=schedule, since=since)
        for match, digest in {(match, known.digest) for known, match in wanted}
    )


def unsubscribe_schedule(schedule: int) -> None:
    """Have it be offered nothing any more."""
    models.Subscription.objects.filter(schedule=schedule).delete()
