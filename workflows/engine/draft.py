"""The next state in the making: a copy of the last one, and what has been wanted and recorded so far.

Every frame and every wait is opened and closed here, so that commands and history cannot miss one.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import Literal

import msgspec

from workflows.dsl import jsontext
from workflows.engine import entries
from workflows.engine.commands import (
    Cancel,
    Command,
    ContinueLater,
    Finish,
    Ringable,
    RunActivity,
    SetTimer,
    StartChild,
    Subscribe,
)
from workflows.engine.data import Data
from workflows.engine.facts import ActivityFailed, ActivitySucceeded, Fact
from workflows.engine.outcomes import Timer
from workflows.engine.plan import Node, Plan
from workflows.engine.problems import Problem, ProblemError, problem
from workflows.engine.scope import DATA_LIMIT_BYTES, Scope
from workflows.engine.state import Frame, Listening, Memo, Spread, State, Status, Taken, Wait
from workflows.engine.step import Cause, Mark, PhaseChange, TaskRun
from workflows.engine.strategies import open_patterns

_KINDS: Mapping[type[Ringable], Literal["activity", "child", "continue"]] = {
    RunActivity: "activity",
    StartChild: "child",
    ContinueLater: "continue",
}

TAKEN_LIMIT = 1000
"""Events that an instance remembers to have taken by listeners that have ended."""


class Draft:
    """One instance during one step."""

    def __init__(self, plan: Plan, state: State, at: datetime, *, owned: bool = False) -> None:
        self.plan = plan
        self.at = at
        if not owned:
            state = copy(state)
            state.frames = dict(state.frames)
            state.waits = dict(state.waits)
            state.agenda = list(state.agenda)
            state.unknown = dict(state.unknown)
        self.state = state
        self.asked: dict[str, Command] = {}
        """Commands by the wait they open: one that closes within the step never leaves."""

        self.told: list[Command] = []
        self.records: list[TaskRun | PhaseChange] = []
        self.marks: list[Mark] = []
        self.complaint = ""
        self.answer: tuple[int, Fact] = (0, Fact(at=at))
        """The frame whose wait was answered, and the answer: who ran it and since when."""

    def complain(self, why: str) -> None:
        """Note why a filter could not be asked about an event; the first reason is told."""
        self.complaint = self.complaint or why

    def scope(self, id: int) -> Scope:
        """Return what the task of a frame sees now."""
        return Scope(self.plan, self.state, self.at, id)

    def node(self, id: int) -> Node:
        """Return the task of a frame."""
        return self.plan.nodes[self.state.frames[id].position]

    def set_status(self, status: Status, *, reason: str = "", by: str = "", cause: Cause = "") -> None:
        """Enter a status, and say so in the history when it is another."""
        state = self.state
        if status != state.status:
            state.status = status
            problem = state.problem if status == "faulted" else None
            self.records.append(
                PhaseChange(status=status, at=self.at, reason=reason, by=by, cause=cause, problem=problem)
            )

    def mark_all(self, what: Literal["retried", "suspended", "resumed"]) -> None:
        """Say this of every task that is being worked on."""
        place = len(self.records)
        self.marks.extend(Mark(place, what, frame) for frame in self.state.running_tasks())

    def remember(self, id: int, memo: Memo | None) -> Frame:
        """Give a frame another memo, and return it."""
        frame: Frame = msgspec.structs.replace(self.state.frames[id], memo=memo)
        self.state.frames[id] = frame
        return frame

    def open_wait(self, command: Ringable, frame: int) -> None:
        """Ask for something, and wait for the answer. Raises ProblemError when it cannot be written or is too large."""
        request = encoded(command)
        self.state.size += len(request)
        self.state.waits[command.wait_id] = Wait(
            _KINDS[type(command)], frame, request=msgspec.Raw(request), rung_at=self.at
        )
        self.asked[command.wait_id] = command

    def subscribe(self, id: int, memo: Listening) -> None:
        """Wait for the events that a listener still wants, or for fewer than before. Raises ProblemError."""
        wait_id, frame = str(id), self.remember(id, memo)
        patterns = open_patterns(memo.wanted, memo.hearing)
        before = self.asked.get(wait_id)
        command = Subscribe(
            wait_id=wait_id,
            position=frame.position,
            patterns=patterns,
            bound=memo.hearing.bound,
            correlated=any(pattern.correlate for pattern in patterns),
            since=frame.started_at,
            again=wait_id in self.state.waits and not (isinstance(before, Subscribe) and not before.again),
        )
        self.state.size += 2 * len(encoded(command))
        self.state.waits[wait_id] = Wait("event", id)
        self.asked[wait_id] = command

    def note_taken(self, id: int, memo: Listening) -> None:
        """Keep which events a listener took, if others of this instance may be offered them later."""
        if any(pattern.correlate for pattern in memo.wanted.patterns):
            state = self.state
            by = Taken(entries.short_path(state, id), state.counter)
            kept = {identity: each for identity, each in state.taken.items() if identity not in memo.seen}
            every = [*kept.items(), *((identity, by) for identity in memo.seen)]
            state.taken = dict(every[-TAKEN_LIMIT:])

    def open_timer(self, id: int, timer: Timer) -> None:
        """Wait for a time."""
        wait_id = str(id) if timer.purpose == "wait" else f"{id}.{timer.purpose}"
        if timer.number:
            wait_id += f".{timer.number}"
        self.state.waits[wait_id] = Wait("timer", 0 if timer.purpose == "resume" else id, timer.purpose, timer.due_at)
        self.asked[wait_id] = SetTimer(wait_id=wait_id, due_at=timer.due_at)

    def open_timeout(self, id: int) -> None:
        """Begin to count the time of a task that limits it. Raises ProblemError when the limit is no duration."""
        timeout = self.node(id).task.timeout
        if timeout is not None:
            scope = self.scope(id)
            self.open_timer(id, Timer("timeout", scope.after(scope.duration(timeout.after))))

    def has_work(self, *, had_any: bool) -> bool:
        """Return whether somebody must be rung, which is asked after each fact.

        Args:
            had_any: Whether that was so before the step; if not, only what was asked for since can be such work.
        """
        if any(type(command) in _KINDS for command in self.asked.values()):
            return True
        return had_any and self.state.has_open_activities()

    def ring(self, wait_id: str) -> None:
        """Ask once more for what a wait is open for."""
        self.asked[wait_id] = self.state.waits[wait_id].command()

    def close_wait(self, wait_id: str, *, keys_matter: bool = False) -> None:
        """Drop a wait, and tell who works for it."""
        wait = self.state.waits.get(wait_id)
        if wait is None:
            return
        if keys_matter:
            self.note_unknown(wait.frame, wait)
        del self.state.waits[wait_id]
        asked = self.asked.pop(wait_id, None)
        is_known = asked is None or (isinstance(asked, Subscribe) and asked.again)
        if is_known and wait.kind in ("activity", "child", "event"):
            child = entries.child_of(wait) if wait.kind == "child" else ""
            self.told.append(Cancel(wait_id=wait_id, kind=wait.kind, child_id=child))

    def drop_below(self, id: int, *, keys_matter: bool = False) -> None:
        """Cancel all that is active below a frame, the innermost first."""
        if self.node(id).is_leaf:
            return
        state = self.state
        dropped = {id: None}
        for below, frame in state.frames.items():
            if frame.parent in dropped:
                dropped[below] = None
        if state.agenda:
            state.agenda[:] = [entry for entry in state.agenda if entry.parent not in dropped]
        for below in list(dropped)[:0:-1]:
            self.close(below, "cancelled", keys_matter=keys_matter)

    def close(
        self,
        id: int,
        status: Literal["completed", "faulted", "cancelled", "skipped"],
        *,
        output: Data | None = None,
        problem: Problem | None = None,
        keys_matter: bool = False,
    ) -> None:
        """End a frame: its waits go, and the history gets its row. The workflow's own frame has none."""
        state = self.state
        frame = state.frames[id]
        node = self.plan.nodes[frame.position]
        wait = state.waits.get(str(id))
        if wait is not None and wait.frame:
            self.close_wait(str(id), keys_matter=keys_matter)
        if node.has_timers:
            for wait_id in entries.timers_of(id, frame):
                self.close_wait(wait_id)
        del state.frames[id]
        if frame.parent:
            worker, started_at = self._ran(id)
            self.records.append(
                TaskRun(
                    position=frame.position,
                    name=node.name,
                    kind=node.kind,
                    status=status,
                    attempt=frame.attempt,
                    iteration=frame.iteration,
                    queued_at=frame.started_at if started_at else None,
                    started_at=started_at or frame.started_at,
                    ended_at=self.at,
                    pool=node.pool or None,
                    worker=worker or None,
                    input=frame.raw,
                    is_shared=frame.iteration is not None and self._is_of_all_items(frame),
                    output=output,
                    problem=problem,
                )
            )

    def _is_of_all_items(self, frame: Frame) -> bool:
        around = self.state.frames[frame.parent]
        return frame.raw is around.input and isinstance(around.memo, Spread)

    def _ran(self, id: int) -> tuple[str, datetime | None]:
        """Who ran the activity of a frame, and since when, if its answer ended the frame."""
        answered, fact = self.answer
        if answered != id or not isinstance(fact, (ActivitySucceeded, ActivityFailed)):
            return "", None
        return fact.worker, fact.started_at

    def note_unknown(self, id: int, wait: Wait) -> None:
        """Keep the idempotency key of an activity of which nobody knows how it ended."""
        if wait.kind == "activity":
            command = wait.command()
            if isinstance(command, RunActivity):
                self.state.unknown[entries.path_of(self.state, id)] = command.idempotency_key

    def forget_key(self, id: int) -> None:
        """An activity was asked for: its key stands in the wait."""
        if self.state.unknown:
            self.state.unknown.pop(entries.path_of(self.state, id), None)

    def forget_keys(self, path: str) -> None:
        """What happened at this path and below will not be tried again."""
        if self.state.unknown:
            self.state.unknown = {k: key for k, key in self.state.unknown.items() if not k.startswith(path)}

    def finish(self, status: Literal["completed", "faulted", "cancelled"], *, reason: str = "", by: str = "") -> None:
        """End the instance. What it started and does not await stays open until that is known to have begun."""
        state = self.state
        state.agenda.clear()
        state.held = []
        for wait_id, wait in list(state.waits.items()):
            if wait.frame or wait.kind in ("timer", "continue"):
                self.close_wait(wait_id)
        self.told.append(Finish(status=status))
        self.set_status(status, reason=reason, by=by)


def encoded(command: Ringable | Subscribe) -> bytes:
    """Return a command as JSON.

    Raises:
        ProblemError: Its arguments cannot be written as JSON (`expression`), or are too large (`runtime`).
    """
    try:
        request = jsontext.encode(command)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProblemError(problem("expression", f"the arguments cannot be written as JSON: {error}")) from error
    if len(request) > DATA_LIMIT_BYTES:
        raise ProblemError(
            problem("runtime", f"arguments of {len(request)} bytes are over the limit of {DATA_LIMIT_BYTES}")
        )
    return request
