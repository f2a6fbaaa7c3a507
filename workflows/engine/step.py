"""What one applied fact gives: the new state, what is wanted, and what belongs in the history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.commands import Command, Publish
from workflows.engine.data import Data
from workflows.engine.problems import Problem
from workflows.engine.state import Frame, State, Status


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


Cause = Literal["", "started", "resumed"]


class PhaseChange(msgspec.Struct, frozen=True, kw_only=True):
    """The instance entered another status."""

    status: Status
    at: datetime
    reason: str = ""
    by: str = ""
    cause: Cause = ""
    """What made it run: it also runs again, without any of these, whenever it has waited."""

    problem: Problem | None = None
    """Why it faulted."""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Something that happened during a step and ended nothing."""

    place: int
    """How many records of the step stood before it."""

    what: Literal["begun", "retried", "suspended", "resumed", "correlating", "correlated", "emitted"]
    frame: Frame
    """The task it happened to. `retried` are a `try` that tries again, and what the verb `retry` goes on within."""

    event: Publish | None = None
    """What was emitted."""

    keys: Mapping[str, Json] | None = None
    """What a `listen` that took its events was correlated by."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One fact applied."""

    state: State
    at: datetime
    """When: the fact's."""

    commands: tuple[Command, ...] = ()
    """To be carried out after the commit, in this order."""

    records: tuple[TaskRun | PhaseChange, ...] = ()
    marks: tuple[Mark, ...] = ()
    """In their order, among the records."""

    changed: bool = True
    """False when the fact was late, doubled or not allowed: nothing is to be stored."""

    complaint: str = ""
    """Why a filter could not be asked about the event that it was offered, and so did not match."""
