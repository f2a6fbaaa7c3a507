"""What a step reads and writes, in a few wide statements and without the ORM.

`Records` has one implementation per database (`postgres.py`, `sqlite.py`): they differ in how rows are
locked and in how many of them travel at once, and in nothing else.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec
import zstandard

from workflows.runtime.subscriptions import Listening

COMPRESS_FROM = 1024
"""Bytes of state from which compression pays: zstd at level 1 costs less than writing what it saves."""

_PLAIN = b"\x00"
_ZSTD = b"\x01"
_compress = zstandard.ZstdCompressor(level=1, write_checksum=False)


class ContentionError(Exception):
    """The database chose this transaction to give way (deadlock, serialization): take it again."""


class UnreachableError(Exception):
    """The connection is gone. Whether the last commit happened is not known."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint under its lock."""

    instance_id: str
    definition: int
    priority: int
    step: int
    state: bytes
    input: bytes
    due_at: datetime | None
    parked: bool = False
    """Whether it ended with a fault or was cancelled; with a state that is not final it was buried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """An instance that is to be: what its two rows hold from the start."""

    instance_id: str
    definition: int
    namespace: str
    workflow: str
    version: str
    priority: int
    labels: str
    """JSON text."""

    input: bytes
    created_at: datetime
    start_at: datetime | None = None
    """Not before this time; None for at once."""

    parent: str | None = None
    parent_wait: str = ""
    idempotency_key: str | None = None
    request_digest: str = ""
    may_exist: bool = False
    """Whether the same id or key may be there already: a chosen id, a child, an idempotency key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The instance row after its phase has changed."""

    instance_id: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    output: bytes | None
    context: bytes | None
    problem: bytes | None
    problem_type: str


class Checkpointed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The checkpoint row after a step."""

    instance_id: str
    before: int
    """Step number under the lock; the row is only written while it is still this."""

    step: int
    state: bytes
    due_at: datetime | None
    leased_until: datetime | None
    has_open_work: bool
    parked: bool


HistoryRow = tuple[object, ...]
"""Values of `HISTORY_COLUMNS`, in that order."""

HISTORY_COLUMNS = (
    "instance", "step", "ordinal", "is_phase", "position", "name", "kind", "status", "attempt", "iteration",
    "queued_at", "started_at", "ended_at", "pool", "worker", "input", "output", "problem", "reason", "by", "marks",
)  # fmt: skip

INSTANCE_COLUMNS = (
    "id", "definition_id", "namespace", "workflow", "version", "status", "priority", "labels", "input", "output",
    "context", "problem", "problem_type", "parent", "parent_wait", "idempotency_key", "request_digest",
    "created_at", "started_at", "ended_at",
)  # fmt: skip

CHECKPOINT_COLUMNS = (
    "instance", "definition", "priority", "input", "state", "step", "due_at", "leased_until", "has_open_work", "parked",
)  # fmt: skip

LABEL_COLUMNS = ("instance", "key", "value", "created_at")

OUTGOING_COLUMNS = (
    "sink", "kind", "namespace", "workflow", "version", "instance", "source", "event_id", "type", "event",
    "created_at", "due_at",
)  # fmt: skip


class Grave(msgspec.Struct, frozen=True):
    """Where an instance was buried."""

    instance_id: str
    definition: tuple[str, str, str]
    """Namespace, name, version."""

    step: int
    at: datetime


Tell = Callable[[Grave], Iterable[tuple[object, ...]]]
"""Gives the rows of `OUTGOING_COLUMNS` for what a burial tells those outside."""


def nothing_told(grave: Grave) -> Iterable[tuple[object, ...]]:
    """Tell nobody."""
    return ()


@dataclass(slots=True)
class Changes:
    """All that one transaction writes."""

    births: list[tuple[Birth, Phase, Checkpointed | None]] = field(default_factory=list)
    """New instances after their first step; None where nothing is left to remember."""

    checkpoints: list[Checkpointed] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    """What `event_rows.row_of` gives: CloudEvents that were emitted."""

    outgoing: list[tuple[object, ...]] = field(default_factory=list)
    """Values of `OUTGOING_COLUMNS`: one row per sink that wants an event (`runtime/outbox.py`)."""

    listening: Listening = field(default_factory=Listening)
    """Who begins and ends to listen."""

    removed: list[str] = field(default_factory=list)
    """Instances whose checkpoint goes."""

    given_up: dict[str, bool] = field(default_factory=dict)
    """Instances that become dead letters, or are none any more."""

    size_bytes: int = 0
    """States and inputs among it."""

    due_at: datetime | None = None
    """The earliest time at which something of it is due."""

    def __bool__(self) -> bool:
        return bool(self.births or self.checkpoints or self.phases or self.history or self.events or self.removed)


@dataclass(frozen=True, slots=True)
class Locked:
    """What a transaction holds after its first statements."""

    rows: dict[str, Row]
    now: datetime
    """Database time under the locks."""

    busy: frozenset[str]
    """Rows that somebody else holds."""

    existing: frozenset[str]
    """Ids of births whose id or idempotency key was there already."""


class Records(Protocol):
    """A database as the stepper uses it. Each thread has a connection of its own."""

    def lock(self, ids: Sequence[str], *, wait: bool, births: Sequence[Birth] = ()) -> Locked:
        """Begin a transaction and lock these checkpoints in the order of their ids.

        Args:
            ids: Instances wanted.
            wait: Whether to wait for rows that others hold, instead of reporting them as busy.
            births: Those with `may_exist`; their instance rows are inserted now, to learn who was first.
        """
        ...

    def save(self, changes: Changes) -> None:
        """Write everything and commit, by the connection that locked: another one would write without a lock."""
        ...

    def write(self, changes: Changes) -> None:
        """Write everything by the transaction that this thread's connection is in; whoever began it commits."""
        ...

    def rollback(self) -> None:
        """Give up the transaction, and the connection with it when it is beyond use. Never raises."""
        ...

    def peek(self, ids: Sequence[str]) -> dict[str, Row]:
        """Read checkpoints without a lock."""
        ...

    def steps(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the step numbers of these instances; those without a checkpoint are absent."""
        ...

    def now(self) -> datetime:
        """Return the database's time."""
        ...

    def open_work(self, limit: int, after: str, *, early: bool = False) -> list[Row]:
        """Return instances with open work that the sweeper has not looked at for a while, or all when it is early,
        in the order of their ids, those after an id; the empty text for all.
        """
        ...

    def looked(self, ids: Sequence[str], seconds: float) -> None:
        """Have the sweeper leave these alone for so many seconds. Rows that somebody holds are passed over."""
        ...

    def ring_all(self) -> None:
        """Have a timekeeper ring again for all open work: every earlier ring is known to be lost."""
        ...

    def bury(self, instance_id: str, problem: bytes, problem_type: str, tell: Tell = nothing_told) -> None:
        """Fault an instance whose step cannot be taken, so that it neither comes back for ever nor vanishes: it is a
        dead letter.
        Its state stays as it was; `retry` goes on from there. One that has ended already is left as it is. What it
        tells is written with it.
        """
        ...

    def next_due(self) -> tuple[datetime | None, datetime]:
        """Return when the next instance is or was due, None when time is all that nobody waits for; and the
        database's time.
        """
        ...

    def lock_due(self, limit: int, but: Sequence[str]) -> Locked:
        """Begin a transaction and lock instances whose time has come, the most overdue first.

        Rows that others hold are passed over, so that two who ask at once share the work.

        Args:
            limit: How many at most.
            but: Instances to leave alone.
        """
        ...

    def postpone(self, ids: Sequence[str], seconds: float) -> None:
        """Have a timekeeper look at these instances after so many seconds."""
        ...


def pack(state: bytes) -> bytes:
    """Return a state as it is stored: compressed when that pays. The first byte says which."""
    if len(state) < COMPRESS_FROM:
        return _PLAIN + state
    return _ZSTD + _compress.compress(state)


def unpack(stored: bytes) -> bytes:
    """Return the state that `pack` stored."""
    if stored[:1] == _ZSTD:
        return zstandard.decompress(stored[1:])
    return stored[1:]


def instance_values(birth: Birth, phase: Phase) -> tuple[object, ...]:
    """Return the values of `INSTANCE_COLUMNS`."""
    return (
        birth.instance_id, birth.definition, birth.namespace, birth.workflow, birth.version, phase.status,
        birth.priority, birth.labels, birth.input, phase.output, phase.context, phase.problem, phase.problem_type,
        birth.parent, birth.parent_wait, birth.idempotency_key, birth.request_digest,
        birth.created_at, phase.started_at, phase.ended_at,
    )  # fmt: skip


def label_values(births: Iterable[Birth]) -> list[tuple[object, ...]]:
    """Return the values of `LABEL_COLUMNS` for every label of these instances; most have none."""
    return [
        (birth.instance_id, key, value, birth.created_at)
        for birth in births
        if birth.labels != "{}"
        for key, value in msgspec.json.decode(birth.labels).items()
    ]


def checkpoint_values(birth: Birth, after: Checkpointed) -> tuple[object, ...]:
    """Return the values of `CHECKPOINT_COLUMNS`."""
    return (
        birth.instance_id, birth.definition, birth.priority, birth.input, after.state, after.step, after.due_at,
        after.leased_until, after.has_open_work, after.parked,
    )  # fmt: skip


GRAVE_ORDINAL = 999_999_999
"""Place of a burial in the history: after all that its last step wrote."""


def unborn(birth: Birth) -> Phase:
    """Return the phase of an instance that has not taken its first step."""
    return Phase(
        instance_id=birth.instance_id, status="pending", started_at=None, ended_at=None, output=None, context=None,
        problem=None, problem_type="",
    )  # fmt: skip
