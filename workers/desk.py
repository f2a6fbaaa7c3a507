"""Where a worker process handles messages: which activities are still wanted, running them, telling the stepper."""

import inspect
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from workers.activities import ACTIVITIES, ActivityCall, ActivityError, ActivityResult, Cancellation, Limits
from workers.claims import Claims
from workers.crew import Crew
from workers.limits import limits
from workers.loop import Loop
from workers.message import Item, Message
from workflows.dsl.jsontext import Json
from workflows.engine import decode_state, facts
from workflows.engine.commands import RunActivity
from workflows.engine.problems import Problem, ProblemError, problem
from workflows.runtime.cluster import Held, Hold
from workflows.runtime.ports import Outcome
from workflows.runtime.process import Process
from workflows.runtime.records import ContentionError, Row, UnreachableError

log = logging.getLogger("lemline.desk")

AGAIN_SECONDS = 0.25
"""Pause between attempts to read while the database is away: no job is begun without knowing that it is wanted."""


class Desk:
    """One per worker process; `handle` is called by the threads that take messages."""

    def __init__(self, process: Process, claims: Claims, max_size: int) -> None:
        self._process = process
        self._claims = claims
        self._presence = process.presence
        self._limits: Limits = limits(settings.LEMLINE)
        self._loop = Loop(max_size)
        self._crew = Crew(max_size)
        self._suspects = threading.Lock()
        """One suspect at a time: whoever dies with it in hand clears its neighbours."""

    def handle(self, message: Message) -> None:
        """Run what is still wanted of a message; returns when each outcome is committed."""
        self._presence.take(self._process.workers.queue_label(message.pool, message.level), message.stamp)
        wanted = self._wanted(message.items)
        if not wanted:
            return
        if any(command.suspect for _, command in wanted):
            with self._suspects:
                self._run(wanted, message.pool)
        else:
            self._run(wanted, message.pool)

    def _wanted(self, items: Sequence[Item]) -> list[tuple[Item, RunActivity]]:
        """Return those whose waits are open, and which nobody else is running. One read for all."""
        while True:
            try:
                found = self._open(items)
                break
            except (UnreachableError, ContentionError) as error:
                log.warning("database.away", extra={"error": str(error)})
                threading.Event().wait(AGAIN_SECONDS)
        free = self._claims.take([_hold(item) for item, _ in found]) if found else []
        return [pair for pair, is_free in zip(found, free, strict=True) if is_free]

    def _open(self, items: Sequence[Item]) -> list[tuple[Item, RunActivity]]:
        steps = self._process.records.steps(sorted({item.instance_id for item in items}))
        # While the step number is the one that rang, nothing has changed since: the wait is open.
        doubtful = {
            i.instance_id for i in items if i.instance_id in steps and (steps[i.instance_id] != i.step or not i.command)
        }
        rows = self._process.records.peek(sorted(doubtful)) if doubtful else {}
        found = []
        for item in items:
            if item.instance_id in rows:
                command = _asked_for(rows[item.instance_id], item)
            else:
                command = item.command if item.instance_id in steps else None
            if command is not None:
                found.append((item, command))
        return found

    def _run(self, wanted: Sequence[tuple[Item, RunActivity]], pool: str) -> None:
        run = _Run(len(wanted))
        waiting: list[Callable[[], Coroutine[Any, Any, None]]] = []
        working: list[Callable[[], None]] = []
        for item, command in wanted:
            errand = _Errand(self, run, item, command)
            if inspect.iscoroutinefunction(getattr(ACTIVITIES.get(command.kind), "run", None)):
                waiting.append(errand.wait)
            else:
                working.append(errand.work)
        if waiting:
            self._loop.start_all(waiting)
        if working:
            self._crew.run(working)
        run.done.wait()

    def secret(self, name: str) -> Json:
        """Return a secret's value for an outside call."""
        try:
            return self._process.secrets.read(name)
        except KeyError:
            raise ProblemError(problem("authorization", f"the secret {name!r} is not provided here")) from None

    def begin(self, item: Item, command: RunActivity, cancelled: Cancellation) -> datetime:
        """Note that this process holds an activity."""
        now = self._process.clock.now()
        self._presence.held[_hold(item)] = Held(now, cancelled.set)
        return now

    def call(self, item: Item, command: RunActivity, cancelled: Cancellation) -> ActivityCall:
        """Return what an activity is given."""
        left = None
        if command.deadline_at is not None:
            left = max(0.0, (command.deadline_at - self._process.clock.now()).total_seconds())
        return ActivityCall(
            kind=command.kind, arguments=command.arguments, idempotency_key=command.idempotency_key,
            instance_id=item.instance_id, wait_id=item.wait_id, position=command.position, name=command.name,
            attempt=command.attempt, definition=item.definition, timeout_seconds=left, secrets=self.secret,
            seal=item.seal, limits=self._limits, cancelled=cancelled,
        )  # fmt: skip

    def report(self, item: Item, fact: facts.Fact, run: "_Run") -> None:
        """Hand an outcome to the stepper; the activity is held until it is committed."""

        def settled(outcome: Outcome) -> None:
            self._presence.held.pop(_hold(item), None)
            run.count_down()

        self._process.stepper.submit(item.instance_id, fact, settled)

    def fact(self, item: Item, begun: datetime, result: ActivityResult | Exception) -> facts.Fact:
        """Return what the engine is told."""
        now, worker = self._process.clock.now(), self._presence.name
        if isinstance(result, ActivityResult):
            return facts.ActivitySucceeded(
                at=now, wait_id=item.wait_id, output=result.output, worker=worker, started_at=begun
            )
        answered, trouble = _problem_of(result)
        return facts.ActivityFailed(
            at=now, wait_id=item.wait_id, problem=trouble, answered=answered, worker=worker, started_at=begun
        )

    def stop(self, seconds: float) -> None:
        """Tell what still runs to stop, and wait for that, at most so long. Python functions may ignore it."""
        for held in list(self._presence.held.values()):
            held.cancel()
        self._loop.stop(seconds)


class _Run:
    """Counts down to the last commit of a message."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self.done = threading.Event()

    def count_down(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.done.set()


class _Errand:
    """One activity of a message."""

    __slots__ = ("_command", "_desk", "_item", "_run")

    def __init__(self, desk: Desk, run: _Run, item: Item, command: RunActivity) -> None:
        self._desk = desk
        self._run = run
        self._item = item
        self._command = command

    def work(self) -> None:
        """Run it on this thread."""
        cancelled = Cancellation()
        begun = self._desk.begin(self._item, self._command, cancelled)
        try:
            result: Any = _activity(self._command.kind).run(self._desk.call(self._item, self._command, cancelled))
        except Exception as error:  # noqa: BLE001  (whatever it is becomes the outcome)
            result = error
        self._report(begun, result)

    async def wait(self) -> None:
        """Run it on the event loop."""
        cancelled = Cancellation()
        begun = self._desk.begin(self._item, self._command, cancelled)
        try:
            result: Any = await _activity(self._command.kind).run(self._desk.call(self._item, self._command, cancelled))
        except Exception as error:  # noqa: BLE001  (whatever it is becomes the outcome)
            result = error
        self._report(begun, result)

    def _report(self, begun: datetime, result: ActivityResult | Exception) -> None:
        self._desk.report(self._item, self._desk.fact(self._item, begun, result), self._run)


def _activity(kind: str) -> Any:
    activity = ACTIVITIES.get(kind)
    if activity is None:
        raise ActivityError(problem("configuration", f"this worker cannot run {kind!r} activities"))
    return activity


def _problem_of(error: Exception) -> tuple[bool, Problem]:
    """Return whether the other side is known to have answered, and the problem."""
    if isinstance(error, ActivityError):
        return error.answered, error.problem
    if isinstance(error, ProblemError):
        return True, error.problem
    log.error("activity.failed", exc_info=error)
    return True, problem("runtime", f"{type(error).__name__}: {error}")


def _asked_for(row: Row, item: Item) -> RunActivity | None:
    """Return what the state wants of a ring; None when the wait is gone, was rung again, or must not begin now."""
    state = decode_state(row.state, row.input)
    wait = state.waits.get(item.wait_id)
    if wait is None or wait.ring != item.ring or state.status == "suspended":
        return None
    command = wait.command()
    return command if isinstance(command, RunActivity) else None


def _hold(item: Item) -> Hold:
    return (item.instance_id, item.wait_id, item.ring)


_desk: Desk | None = None


def open_desk(process: Process, claims: Claims, max_size: int) -> Desk:
    """Make this process one that runs activities."""
    global _desk
    _desk = Desk(process, claims, max_size)
    return _desk


def desk() -> Desk:
    """Return this process's desk. RuntimeError in a process that was not started for any pool."""
    if _desk is None:
        raise RuntimeError("start workers with `manage.py lemline worker --roles ...`: this process takes no jobs")
    return _desk
