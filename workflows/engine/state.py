"""All that the engine knows of an instance: a tree of frames, and what they wait for.

Invariants: a frame's id is greater than its parent's, and no id is given twice, not even after a
retry from the beginning. A wait's id begins with the id of its frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.commands import Ringable, RunActivity, decode_command
from workflows.engine.data import Data
from workflows.engine.facts import AnyFact
from workflows.engine.outputs import Outputs
from workflows.engine.problems import Problem
from workflows.engine.strategies import Hearing, Wanted

Status = Literal["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"]
FINAL: frozenset[str] = frozenset({"cancelled", "faulted", "completed"})
WORK: frozenset[str] = frozenset({"activity", "child", "continue"})
"""Kinds of wait that somebody must be rung for; the others are answered by time or by events."""

SUSPECT_FROM = 2
"""Deaths from which on an activity is run alone. After the first, whatever killed the process, all that it had in hand
would be run one after the other.
"""


class Loop(msgspec.Struct, frozen=True, array_like=True, tag="loop"):
    """A `for` between two items."""

    items: Data
    index: int


class Spread(msgspec.Struct, frozen=True, array_like=True, tag="spread"):
    """A parallel `for`: how many of its items were begun, and what the ended ones gave."""

    items: Data
    count: int
    """Items to run, after `while` cut the rest off."""

    begun: int
    outputs: Outputs


class Branches(msgspec.Struct, frozen=True, array_like=True, tag="branches"):
    """A `fork`: outputs by index of branch, and how many branches failed."""

    outputs: dict[int, Data]
    failures: int = 0


class Attempts(msgspec.Struct, frozen=True, array_like=True, tag="attempts"):
    """A `try`: retries begun, the problem caught last, and whether `catch.do` runs."""

    retries: int = 0
    problem: Problem | None = None
    catching: bool = False


class Extended(msgspec.Struct, frozen=True, array_like=True, tag="extended"):
    """A task whose extensions run, before it or (with its raw output at hand) after it."""

    index: int
    """Place of the extension in the task's list of extensions."""

    output: Data | None = None
    then: str | None = None


class Listening(msgspec.Struct, frozen=True, array_like=True, tag="listening"):
    """A `listen`: how far it is, and what it has made of its events."""

    wanted: Wanted
    hearing: Hearing
    is_done: bool = False
    """Whether it takes no more. What it took before is still dealt with."""

    seen: tuple[str, ...] = ()
    """Events that it took, by their `identity`, the last ones last: each is offered once or more, and taken once."""

    queue: tuple[Data, ...] = ()
    """CloudEvents that it took and has not dealt with. The first one is in hand while the tasks of `foreach` run."""

    in_hand: bool = False
    count: int = 0
    """Events dealt with."""

    outputs: tuple[Data, ...] = ()
    """What came of them."""


Memo = Loop | Spread | Branches | Attempts | Extended | Listening


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A task that is being worked on. It goes when its task ends."""

    position: str
    parent: int
    """Id of the frame that entered it; 0 for the workflow's own."""

    raw: Data
    input: Data
    """The transformed input."""

    started_at: datetime
    attempt: int = 1
    iteration: int | None = None
    jumps: int = 0
    """Backward `then`s taken so far in its list: what tells two entries of one task apart."""

    memo: Memo | None = None


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A task that is to be entered."""

    position: str
    parent: int
    input: Data
    attempt: int = 1
    iteration: int | None = None
    jumps: int = 0


class Wait(msgspec.Struct, frozen=True, array_like=True):
    """One thing an instance is waiting for."""

    kind: Literal["activity", "timer", "child", "event", "continue"]
    frame: int
    """Frame that wants the answer; 0 when nothing of the instance depends on it any more (`await: false`)."""

    purpose: str = ""
    """Timers only: `wait`, `retry`, `timeout`, `attempt`, `limit` or `resume`."""

    due_at: datetime | None = None
    """Timers only."""

    request: msgspec.Raw = msgspec.Raw(b"null")
    """The command that opened this wait, as JSON; timers need none."""

    ring: int = 1
    rung_at: datetime | None = None
    deaths: int = 0
    """Processes that died with this wait in hand."""

    def command(self) -> Ringable:
        """Return the command that asks for this again: the same but for ring, stamp and suspicion."""
        command = decode_command(self.request)
        if isinstance(command, RunActivity):
            command = msgspec.structs.replace(command, suspect=self.deaths >= SUSPECT_FROM)
        return msgspec.structs.replace(command, ring=self.ring, rung_at=self.rung_at)


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """Who took an event: a `listen` that has ended."""

    path: str
    """Of its entry, shortened: the same for each of its attempts."""

    counter: int
    """The state's, when it ended: whatever was entered later has a greater id."""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """An answer that came while the instance was suspended."""

    wait: Wait
    fact: AnyFact


class Parked(msgspec.Struct, frozen=True, array_like=True):
    """What a faulted or cancelled instance keeps for `retry`: where it stood, and what to enter again."""

    frames: dict[int, Frame]
    entries: list[Entry]
    origin: Entry
    """The task that faulted."""


class State(msgspec.Struct, array_like=True):
    """One instance. `advance` never changes the state it is given."""

    instance_id: str
    seal: str
    """What marks of secrets carry, so that no input can forge one."""

    raw_input: Data
    shared: Data
    """`$context`."""

    status: Status = "pending"
    counter: int = 0
    step: int = 0
    """Facts applied so far that changed something."""

    started_at: datetime | None = None
    suspended_at: datetime | None = None
    result: Data | None = None
    problem: Problem | None = None
    frames: dict[int, Frame] = {}
    waits: dict[str, Wait] = {}
    agenda: list[Entry] = []
    """Tasks to be entered, the next one last."""

    held: list[Held] = []
    parked: Parked | None = None
    unknown: dict[str, str] = {}
    """Path of a task's entry to the idempotency key of its activity, while nobody knows how that ended."""

    size: int = 0
    """What the stored form takes at most, in bytes: grows with what is written, measured when that is too much."""

    missing_secrets: tuple[str, ...] = ()
    edited_input: Data | None = None
    """What a retry from the beginning put in the raw input's place; that one's column is never rewritten."""

    parent: str = ""
    """Instance that runs this one by `run: workflow`, and its wait."""

    parent_wait: str = ""
    holders: dict[str, str] = {}
    """Wait to the process that goes on with its activity where it stands: nobody was rung for it. The runtime says so;
    the stored form leaves it out while it is empty, as what follows.
    """

    taken: dict[str, Taken] = {}
    """Events that correlated listeners took, by their `identity`, the latest last: one that is kept for those that come
    later is not for these again.
    """

    @property
    def input(self) -> Json:
        """The workflow's raw input, as an operator edited it last."""
        return self.started_with.value

    @property
    def started_with(self) -> Data:
        """The same as data."""
        return self.edited_input or self.raw_input

    @property
    def context(self) -> Json:
        """The last `$context`."""
        return self.shared.value

    @property
    def output(self) -> Json:
        """The workflow's output; None until it completed."""
        return None if self.result is None else self.result.value

    @property
    def is_final(self) -> bool:
        """Whether the instance ended; only `retry` takes it up again."""
        return self.status in FINAL

    def due_at(self) -> datetime | None:
        """Return when the next timer fires. While suspended only the one that resumes counts."""
        suspended = self.status == "suspended"
        times = [w.due_at for w in self.waits.values() if w.due_at and (not suspended or w.purpose == "resume")]
        return min(times, default=None)

    def has_open_activities(self) -> bool:
        """Return whether somebody must be rung: for an activity, a child or a further step."""
        return any(wait.kind in WORK for wait in self.waits.values())

    def running_tasks(self) -> list[Frame]:
        """Return the frames of the tasks being worked on, in the order of their start."""
        return [frame for frame in self.frames.values() if frame.parent]

    def positions(self) -> list[str]:
        """Return where the instance stands: the innermost tasks being worked on."""
        parents = {frame.parent for frame in self.frames.values()} | {entry.parent for entry in self.agenda}
        leaves: Iterable[str] = (f.position for i, f in self.frames.items() if i not in parents and f.parent)
        return list(dict.fromkeys([*leaves, *(entry.position for entry in reversed(self.agenda) if entry.parent)]))


def new_state(*, instance_id: str, input: Json | Data, seal: str, parent: str = "", parent_wait: str = "") -> State:
    """Return the state of an instance that has not begun.

    Args:
        instance_id: Its id, as text.
        input: The workflow's raw input, a value or `Data`.
        seal: Text that nobody outside can guess; marks of secrets carry it.
        parent: Instance that runs this one.
        parent_wait: The parent's wait, which learns how this one ended.
    """
    raw = input if isinstance(input, Data) else Data(input)
    return State(
        instance_id=instance_id, seal=seal, raw_input=raw, shared=Data({}), parent=parent, parent_wait=parent_wait
    )
