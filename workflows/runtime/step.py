"""One instance's share of a transaction: facts in, changed rows and consequences out. Writes nothing itself."""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from workflows.engine import (
    Data,
    PhaseChange,
    State,
    Step,
    Wait,
    advance,
    decode_state,
    encode_state,
    facts,
    new_state,
)
from workflows.engine.commands import Cancel, Command, ContinueLater, Publish, RunActivity, StartChild, Subscribe
from workflows.engine.problems import Problem
from workflows.runtime import event_rows
from workflows.runtime.complaints import complain
from workflows.runtime.definitions import Definitions, Registered
from workflows.runtime.history_policy import HistoryPolicy
from workflows.runtime.ports import Delivery, Keeper, Outbox, Settled
from workflows.runtime.records import Birth, Changes, Checkpointed, Phase, Row, pack
from workflows.runtime.seal import seal_of
from workflows.runtime.views import InstanceView


@dataclass(frozen=True, slots=True)
class Due:
    """Not the engine's fact but the runtime's: see what of this instance is due, and ring what was not rung."""


@dataclass(frozen=True, slots=True)
class Told:
    """The parent is known to have learnt of this instance's end."""


AnyFact = facts.Fact | Due | Told

EMITTED = "emit"
"""Who brought an event that an instance has emitted."""

_START = "start"
"""The wait of an instance that is to begin later."""


class Submit(Protocol):
    """Hands a fact to the stepper."""

    def __call__(self, instance_id: str, fact: AnyFact, settled: Settled | None = None) -> None:
        """`settled` is called once the fact's step is committed."""
        ...


class Begin(Protocol):
    """Hands an instance that is to be to the stepper."""

    def __call__(self, birth: Birth, settled: Settled) -> object:
        """`settled` is called once the instance is stored, or found to exist."""
        ...


class Subject(msgspec.Struct, frozen=True):
    """An instance as a step finds it."""

    instance_id: str
    registered: Registered
    priority: int
    step: int
    """Steps committed so far."""

    state: State
    due_at: datetime | None = None
    birth: Birth | None = None
    is_buried: bool = False
    """Faulted because a step of its could not be taken. The state is the one before that step, and only `retry`
    goes on from there."""

    def marked_at(self) -> datetime | None:
        """Return when a timekeeper is to ring again for all that is open: a row that is due before its timers says
        that a ring could not be published, or is known to be lost. None for others.
        """
        if self.due_at is None or self.state.status == "pending" or self.due_at == self.state.due_at():
            return None
        return self.due_at


@dataclass(slots=True)
class Taken:
    """A subject after its facts, and what must happen once this is committed."""

    subject: Subject
    state: State
    step: int
    changed: bool
    rerung: bool = False
    """Whether every open wait is to be rung again, with the ring number it has."""

    commands: list[Command] = field(default_factory=list)
    steps: list[tuple[int, Step]] = field(default_factory=list)
    """What the facts that changed something came to, with their numbers."""

    ignored: list[AnyFact] = field(default_factory=list)
    """Facts that changed nothing."""

    told: bool = False
    given_up: bool | None = None
    """Whether these facts made a dead letter of it, or took it up again; None for neither."""

    deferred: bool = False
    """Whether the rows of a new instance are written before its first step, which takes long."""

    kept: list[tuple[Keeper, Delivery]] = field(default_factory=list)
    """Activities that this process goes on with: recorded as held by it, and not rung for."""

    @property
    def instance_id(self) -> str:
        """Which instance this is."""
        return self.subject.instance_id

    def has_ignored(self, fact: AnyFact) -> bool:
        """Return whether this very fact changed nothing."""
        return any(ignored is fact for ignored in self.ignored)

    def has_new_phase(self) -> bool:
        """Return whether people see another phase, be it by the same name: a retry may fault at once again."""
        subject, state = self.subject, self.state
        if state.status != subject.state.status:
            return True
        if not (state.is_final or subject.is_buried):
            return False
        return any(isinstance(record, PhaseChange) for _, step in self.steps for record in step.records)

    def errands(self) -> Iterable[Command]:
        """Yield what there is to do besides ringing for activities."""
        if not self.rerung:
            yield from self.commands
            return
        yield from (command for command in self.commands if not isinstance(command, StartChild | ContinueLater))
        if self.state.status != "suspended":
            yield from (wait.command() for wait in self.state.waits.values() if wait.kind in ("child", "continue"))

    def deliveries(self) -> Iterable[Delivery]:
        """Yield the activities to ring for: not what was dropped again within the batch, nor what a process holds."""
        state = self.state
        if state.status == "suspended":
            return
        wanted = (
            (wait.command() for wait in state.waits.values() if wait.kind == "activity")
            if self.rerung
            else self.commands
        )
        for command in wanted:
            if not isinstance(command, RunActivity):
                continue
            wait = state.waits.get(command.wait_id)
            if wait is not None and command.wait_id not in state.holders:
                yield self._delivery(command, wait)

    def _delivery(self, command: RunActivity, wait: Wait) -> Delivery:
        subject = self.subject
        return Delivery(
            self.instance_id,
            subject.registered.key,
            subject.priority,
            self.step,
            self.state.seal,
            command,
            bytes(wait.request),
        )


class Steps:
    """Applies facts to subjects."""

    def __init__(
        self,
        definitions: Definitions,
        *,
        secret_exists: Callable[[str], bool],
        history: HistoryPolicy,
        look_seconds: float,
        outbox: Outbox,
    ) -> None:
        self._definitions = definitions
        self._secret_exists = secret_exists
        self._history = history
        self.outbox = outbox
        self._look_after = timedelta(seconds=look_seconds)

    def subject(self, row: Row) -> Subject:
        """Return the subject of a checkpoint."""
        state = decode_state(row.state, row.input)
        registered = self._definitions.get(row.definition)
        is_buried = row.parked and not state.is_final
        return Subject(row.instance_id, registered, row.priority, row.step, state, row.due_at, None, is_buried)

    def unborn(self, birth: Birth) -> Subject:
        """Return the subject of an instance that is to be."""
        state = new_state(
            instance_id=birth.instance_id, input=Data(text=birth.input), seal=seal_of(birth.instance_id),
            parent=birth.parent or "", parent_wait=birth.parent_wait,
        )  # fmt: skip
        if birth.start_at is not None:
            state.waits = {_START: Wait("timer", 0, "start", birth.start_at)}
        registered = self._definitions.get(birth.definition)
        return Subject(birth.instance_id, registered, birth.priority, 0, state, None, birth)

    def take(self, subject: Subject, given: Sequence[AnyFact], now: datetime) -> Taken:
        """Apply facts in their order, timers last: an answer that is here beats a timeout that is due."""
        taken = Taken(subject, subject.state, subject.step, changed=False)
        if subject.is_buried:
            return self._exhumed(taken, given, now)
        for fact in sorted(given, key=_is_timer):
            if isinstance(fact, Told):
                taken.told = True
            elif isinstance(fact, Due):
                self._take_due(taken, now)
            else:
                self._apply(taken, fact)
        # What was open while the instance was suspended was not rung; claims drop what is held after all.
        if subject.state.status == "suspended" and taken.state.status != "suspended":
            taken.rerung = True
        return taken

    def _exhumed(self, taken: Taken, given: Sequence[AnyFact], now: datetime) -> Taken:
        """Take up a buried instance again if that is asked for: what it was at is cancelled, then entered anew."""
        for fact in given:
            if isinstance(fact, facts.RetryRequested) and not taken.changed:
                again = Taken(taken.subject, taken.state, taken.step, changed=False)
                self._apply(again, facts.CancelRequested(at=now, reason="its step could not be taken"))
                self._apply(again, fact)
                if not again.ignored:
                    again.ignored = taken.ignored
                    taken = again
                    continue
            taken.ignored.append(fact)
        return taken

    def deferred(self, subject: Subject) -> Taken:
        """Return a new instance without its first step: a timekeeper would begin it if this process died."""
        return Taken(subject, subject.state, subject.step, changed=False, deferred=True)

    def _take_due(self, taken: Taken, now: datetime) -> None:
        state = taken.state
        if state.status == "pending":
            self._begin(taken, now)
            return
        marked = taken.subject.marked_at()
        taken.rerung = marked is not None and marked <= now
        timers = sorted((wait.due_at, name) for name, wait in state.waits.items() if wait.due_at and wait.due_at <= now)
        for _, name in timers:
            self._apply(taken, facts.TimerFired(at=now, wait_id=name))

    def _begin(self, taken: Taken, now: datetime) -> None:
        """Start what is pending, unless its time is still to come."""
        start = taken.state.waits.get(_START)
        if start is not None:
            if start.due_at is not None and start.due_at > now:
                return
            taken.state = copy(taken.state)
            taken.state.waits = {name: wait for name, wait in taken.state.waits.items() if name != _START}
        self._apply(taken, self.started(taken.subject.registered, now))

    def _apply(self, taken: Taken, fact: facts.Fact) -> None:
        step = advance(taken.subject.registered.definition, taken.state, fact, given_away=taken.changed)
        if step.complaint and isinstance(fact, facts.EventArrived):
            complain(step, fact.wait_id, taken.subject.registered)
        if not step.changed:
            taken.ignored.append(fact)
            return
        taken.state = step.state
        if isinstance(fact, facts.RetryRequested):
            # The parent learns, or has learnt, how the first try ended; from here on this one is on its own.
            taken.state.parent_wait = ""
            taken.given_up = False
        elif isinstance(fact, facts.ActivityLost) and taken.state.status == "faulted":
            taken.given_up = True
        taken.step += 1
        taken.changed = True
        taken.commands.extend(step.commands)
        taken.steps.append((taken.step, step))

    def started(self, registered: Registered, now: datetime) -> facts.Started:
        """Return the fact that begins an instance of this definition."""
        missing = tuple(name for name in registered.definition.use.secrets if not self._secret_exists(name))
        return facts.Started(at=now, missing_secrets=missing)

    def write(self, taken: Taken, now: datetime, changes: Changes) -> None:
        """Add what this subject's step changes to the transaction."""
        subject, state = taken.subject, taken.state
        if not (taken.changed or taken.told or taken.rerung or subject.birth):
            return
        after = None if self._is_forgotten(taken) else self._checkpoint(taken, now)
        if after is not None:
            changes.size_bytes += len(after.state)
            if after.due_at is not None and (changes.due_at is None or after.due_at < changes.due_at):
                changes.due_at = after.due_at
        if subject.birth is not None:
            changes.births.append((subject.birth, _phase(state, now), after))
            changes.size_bytes += 2 * len(subject.birth.input)
        else:
            self._write_known(taken, after, now, changes)
        if taken.given_up is not None:
            changes.given_up[taken.instance_id] = taken.given_up
        changes.history.extend(self._history.rows(taken.instance_id, taken.steps))
        if taken.commands:
            _write_events(taken, now, changes)
        if self.outbox.is_wanted:
            changes.outgoing.extend(self.outbox.rows(taken, now))

    def _write_known(self, taken: Taken, after: Checkpointed | None, now: datetime, changes: Changes) -> None:
        if after is None:
            changes.removed.append(taken.instance_id)
        else:
            changes.checkpoints.append(after)
        if taken.changed and taken.has_new_phase():
            changes.phases.append(_phase(taken.state, now))

    def _is_forgotten(self, taken: Taken) -> bool:
        """Nothing is left to remember once an instance completed, all that it started is known to have begun, and
        a waiting parent knows of its end.
        """
        state = taken.state
        return state.status == "completed" and not state.waits and (taken.told or not state.parent_wait)

    def _checkpoint(self, taken: Taken, now: datetime) -> Checkpointed:
        state = taken.state
        # The sweeper also looks whether a child still agrees with its parent.
        has_work = (bool(state.parent_wait) and not taken.told) or state.has_open_activities()
        return Checkpointed(
            instance_id=taken.instance_id,
            before=taken.subject.step,
            step=taken.step,
            state=pack(encode_state(state)),
            due_at=_due_at(taken, now),
            leased_until=now + self._look_after if has_work else None,
            has_open_work=has_work,
            parked=state.is_final and not state.waits,
        )


def _due_at(taken: Taken, now: datetime) -> datetime | None:
    """Return when a timekeeper is to look: at the next timer, at a start, or earlier for a ring that is still owed."""
    due_at = taken.state.due_at()
    if taken.state.status == "pending":
        return due_at or now
    if taken.rerung or taken.state.is_final:
        return due_at
    return min(filter(None, (due_at, taken.subject.marked_at())), default=None)


def view(taken: Taken, now: datetime) -> InstanceView | None:
    """Return what a caller sees of an instance that has just begun; None for others, which are read."""
    birth = taken.subject.birth
    if birth is None:
        return None
    phase = _phase(taken.state, now)
    return InstanceView(
        id=birth.instance_id, namespace=birth.namespace, workflow=birth.workflow, version=birth.version,
        status=phase.status, priority=birth.priority, labels=msgspec.json.decode(birth.labels), input=birth.input,
        output=phase.output, context=taken.state.shared.text, problem=phase.problem,
        positions=tuple(taken.state.positions()), parent=birth.parent, created_at=birth.created_at,
        started_at=phase.started_at, ended_at=phase.ended_at,
    )  # fmt: skip


def _phase(state: State, now: datetime) -> Phase:
    return Phase(
        instance_id=state.instance_id,
        status=state.status,
        started_at=state.started_at,
        ended_at=now if state.is_final else None,
        output=None if state.result is None else state.result.text,
        context=state.shared.text if state.is_final else None,
        problem=_problem_text(state.problem),
        problem_type="" if state.problem is None else state.problem.type[:255],
    )


def _write_events(taken: Taken, now: datetime, changes: Changes) -> None:
    """Add what is emitted, and what changes about whom events are for."""
    listening: list[Subscribe | Cancel] = []
    for command in taken.commands:
        if isinstance(command, Publish):
            changes.events.append(event_rows.row_of(command.event, taken.subject.registered.key[0], EMITTED, now))
        elif isinstance(command, Subscribe) or (isinstance(command, Cancel) and command.kind == "event"):
            listening.append(command)
    if listening:
        scope = event_rows.scope_of(taken.subject.registered.key[0])
        changes.listening.add(taken.instance_id, listening, scope, before=taken.subject.state, after=taken.state)


def _problem_text(problem: Problem | None) -> bytes | None:
    return None if problem is None else msgspec.json.encode(problem)


def _is_timer(fact: AnyFact) -> bool:
    return isinstance(fact, Due | facts.TimerFired)
