"""What a task's handler decides. The driver does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from workflows.engine.commands import Publish, RunActivity, StartChild
from workflows.engine.data import Data
from workflows.engine.facts import Fact
from workflows.engine.plan import Block, Node
from workflows.engine.problems import Problem
from workflows.engine.state import Frame, Listening, Memo

if TYPE_CHECKING:
    from workflows.engine.scope import Scope


class Timer(msgspec.Struct, frozen=True):
    """A point in time to wait for."""

    purpose: str
    """As in `Wait.purpose`."""

    due_at: datetime
    number: int = 0
    """Tells timers of one frame and purpose apart; counted from 1 where there may be several."""


class Done(msgspec.Struct, frozen=True):
    """The task has its raw output."""

    output: Data
    then: str | None = None
    """Flow directive that stands in for the task's own."""


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Start a list of tasks at its first; with `iterations`, once for each."""

    block: Block
    input: Data
    memo: Memo | None = None
    attempt: int | None = None
    """Number that the tasks of the list carry; None for that of this task."""

    iterations: tuple[int, ...] = ()
    timers: tuple[Timer, ...] = ()


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """Enter these tasks at the same time."""

    nodes: tuple[Node, ...]
    input: Data
    memo: Memo | None = None


class Ask(msgspec.Struct, frozen=True):
    """Have something done outside; the task ends with its answer."""

    command: RunActivity | StartChild
    detached: bool = False
    """Go on at once, with the transformed input as output."""


class Publishing(msgspec.Struct, frozen=True):
    """The task ends, and something leaves with it."""

    command: Publish
    output: Data


class Subscribing(msgspec.Struct, frozen=True):
    """Wait for events."""

    memo: Listening


class Handled(msgspec.Struct, frozen=True):
    """An event is dealt with; the next one is looked for."""

    memo: Listening
    shared: Data | None = None
    """What `$context` is from now on."""


class Satisfied(msgspec.Struct, frozen=True):
    """No more events are wanted, and all are dealt with."""

    memo: Listening


class Sleep(msgspec.Struct, frozen=True):
    """Wait for a time."""

    timer: Timer
    memo: Memo | None = None


class Stay(msgspec.Struct, frozen=True):
    """Nothing to do until another child ends."""

    memo: Memo


Outcome = Done | Begin | Branch | Ask | Publishing | Subscribing | Handled | Satisfied | Sleep | Stay


@dataclass(frozen=True, kw_only=True)
class Handler:
    """How one sort of task decides. Each function may raise `ProblemError`: the task then faults."""

    entered: Callable[[Scope], Outcome]
    """The task was entered; its input is transformed."""

    ended: Callable[[Scope, Frame, Data], Outcome] | None = None
    """A list of its tasks, or a branch, ended with this output. The frame is the child's."""

    failed: Callable[[Scope, Problem], Outcome | None] | None = None
    """A child failed. None lets the problem go on upwards."""

    answered: Callable[[Scope, Fact], Outcome] | None = None
    """Its wait was answered."""
