"""What happens to a frame: what its handler decided, and what the driver makes follow from it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from workflows.engine.data import Data
from workflows.engine.facts import EventArrived, Fact
from workflows.engine.outcomes import Done, Outcome
from workflows.engine.problems import Problem
from workflows.engine.state import Frame, Listening, Parked


class Entered(msgspec.Struct, frozen=True):
    """A frame was made for a task."""


class Answered(msgspec.Struct, frozen=True):
    """The wait of this frame was answered."""

    fact: Fact


class Heard(msgspec.Struct, frozen=True):
    """An event has come that this listener wants."""

    memo: Listening
    fact: EventArrived


class GoOn(msgspec.Struct, frozen=True):
    """A listener looks for its next event."""


class Ended(msgspec.Struct, frozen=True):
    """A list below this frame, or a branch, ended."""

    child: Frame
    output: Data
    exited: bool
    """By `then: exit`."""


class EndAll(msgspec.Struct, frozen=True):
    """A task below said `then: end`: this one completes with its output, and so do those above."""

    output: Data


class Unwrapped(msgspec.Struct, frozen=True):
    """The task is done, and so are its extensions."""

    done: Done


class Failing(msgspec.Struct, frozen=True):
    """A child of this frame failed, or its attempt took too long."""

    problem: Problem
    parked: Callable[[], Parked]
    """Gives what `retry` takes up again, should nobody catch it."""

    catchable: bool = True


Move = Outcome | Entered | Answered | Ended | EndAll | Unwrapped | Failing | Heard | GoOn
Turn = tuple[int, Move]
"""A frame, and what happens to it."""
