"""What one applied fact gives: the new state, what is wanted, and what belongs in the history."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from workflows.engine.commands import Command
from workflows.engine.data import Data
from workflows.engine.problems import Problem
from workflows.engine.state import State, Status


class TaskRun(msgspec.Struct, frozen=True, kw_only=True):
    """One ended run of a task: a row of the history."""

    position: str
    name: str
    kind: str
    status: Literal["completed", "faulted", "cancelled", "skipped"]
    attempt: int
    """1 for the first run, counted up by each retry of the innermost `try`."""

    iteration: int | None
    """Index of the innermost `for` around the task."""

    queued_at: datetime | None
    """When it asked for its activity: until `started_at` that waited for a worker. None without an activity."""

    started_at: datetime
    ended_at: datetime
    pool: str | None
    worker: str | None
    input: Data
    """The raw input: what `retry` from this task starts with again."""

    is_shared: bool
    """Whether all items of the parallel `for` around it have this input: the run of that has it too."""

    output: Data | None
    """The transformed output; None unless completed or skipped."""

    problem: Problem | None


class PhaseChange(msgspec.Struct, frozen=True, kw_only=True):
    """The instance entered another status."""

    status: Status
    at: datetime
    reason: str = ""
    by: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One fact applied."""

    state: State
    commands: tuple[Command, ...] = ()
    """To be carried out after the commit, in this order."""

    records: tuple[TaskRun | PhaseChange, ...] = ()
    changed: bool = True
    """False when the fact was late, doubled or not allowed: nothing is to be stored."""
