"""Short makers of definitions and instances for tests, and a small generator of definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from textwrap import dedent
from typing import Any

from hypothesis import strategies as st

from workflows.dsl import jsontext, parse
from workflows.dsl.model import Definition
from workflows.engine import Data, PhaseChange, State, Step, TaskRun, advance, decode_state, encode_state, new_state
from workflows.engine.commands import Cancel, Command, ContinueLater, Publish, RunActivity, StartChild, Subscribe
from workflows.engine.correlation import interest_of, key_of
from workflows.engine.facts import (
    ActivityFailed,
    ActivitySucceeded,
    CancelRequested,
    ChildEnded,
    Continued,
    EventArrived,
    Fact,
    ResumeRequested,
    RetryRequested,
    Started,
    SuspendRequested,
    TimerFired,
)
from workflows.engine.problems import Problem, problem

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADER = "document: {dsl: 1.0.3, namespace: tests, name: played, version: 1.0.0}\n"
UNAVAILABLE = problem("communication", "the service is away", status=503)


def define(text: str) -> Definition:
    """Return the definition of a text, which may leave out its `document`.

    In it `set: 1` stands for `set: '${ 1 }'`, which is what the DSL wants.
    """
    text = re.sub(r"\bset: (-?\d+)", r"set: '${ \1 }'", dedent(text))
    return parse(text if text.lstrip().startswith("document:") else HEADER + text)


class Instance:
    """One execution, driven by hand.

    Between two facts the state goes through its stored form, and every step is checked for what must
    always hold: the stored form is stable, frames have their parents, nothing is left when it ended.
    """

    def __init__(
        self, definition: Definition | str, input: Any = None, *, id: str = "i-1", missing_secrets: tuple[str, ...] = ()
    ) -> None:
        self.definition = define(definition) if isinstance(definition, str) else definition
        self.input = Data({} if input is None else input)
        self.state: State = new_state(instance_id=id, input=self.input, seal="s3al")
        self.missing_secrets = missing_secrets
        self.now = START
        self.steps: list[Step] = []
        self.facts: list[Fact] = []
        self.events: list[dict[str, Any]] = []

    def apply(self, fact: Fact) -> Step:
        """Apply one fact."""
        before = encode_state(self.state)
        step = advance(self.definition, self.state, fact)
        assert encode_state(self.state) == before, "the state that was given changed"
        stored = encode_state(step.state)
        self.state = decode_state(stored, self.input.text)
        assert encode_state(self.state) == stored
        _check(self.state)
        if step.changed:
            self.steps.append(step)
            self.facts.append(fact)
        else:
            assert stored == before
        return step

    def start(self) -> Instance:
        """Apply `Started`, and steps that follow without the world."""
        self._settle(self.apply(Started(at=self.now, missing_secrets=self.missing_secrets)))
        return self

    def succeed(self, task: str, output: Any = None) -> Step:
        """Answer the oldest open activity of the task of this name."""
        wait_id = self.request(task).wait_id
        return self._settle(self.apply(ActivitySucceeded(at=self.now, wait_id=wait_id, output=output, worker="w")))

    def fail(self, task: str, problem: Problem = UNAVAILABLE, *, answered: bool = True) -> Step:
        """Answer the oldest open activity of the task of this name with a problem."""
        wait_id = self.request(task).wait_id
        return self._settle(
            self.apply(ActivityFailed(at=self.now, wait_id=wait_id, problem=problem, answered=answered))
        )

    def end_child(self, output: Any = None, problem: Problem | None = None) -> Step:
        """Answer the only open child."""
        (child,) = self.children()
        status = "faulted" if problem else "completed"
        fact = ChildEnded(at=self.now, wait_id=child.wait_id, status=status, output=output, problem=problem)
        return self._settle(self.apply(fact))

    def hear(self, type: str, data: Any = None, *, kept_from: datetime | None = None, **attributes: Any) -> bool:
        """Offer an event to all that listen, and return whether any took it.

        What an index would not find must be refused by the engine too: the two may not disagree.
        """
        event = {"specversion": "1.0", "id": f"e-{len(self.events)}", "source": "/tests", "type": type, **attributes}
        if data is not None:
            event["data"] = data
        self.events.append(event)
        return self.offer(event, kept_from)

    def offer(self, event: Mapping[str, Any], kept_from: datetime | None = None) -> bool:
        """Offer an event, maybe once more."""
        took = [self._offer(subscribed, event, kept_from) for subscribed in self.subscriptions()]
        return any(took)

    def _offer(self, subscribed: Subscribe, event: Mapping[str, Any], kept_from: datetime | None) -> bool:
        wanted = [interest_of(pattern, subscribed.bound) for pattern in subscribed.patterns]
        is_found = any(key_of(interest, event) == key for interest, key in wanted)
        if kept_from is not None:
            is_found = is_found and subscribed.correlated
        fact = EventArrived(at=self.now, wait_id=subscribed.wait_id, event=event, received_at=kept_from)
        took = self._settle(self.apply(fact)).changed
        assert is_found or not took, "the engine took what no index would have found"
        return took

    def subscriptions(self) -> list[Subscribe]:
        """Return what is subscribed, as a runtime that carries the commands out would keep it."""
        found: dict[str, Subscribe] = {}
        for command in self.commands:
            if isinstance(command, Subscribe):
                assert command.again == (command.wait_id in found)
                found[command.wait_id] = command
            elif isinstance(command, Cancel) and command.kind == "event":
                del found[command.wait_id]
        assert set(found) == {wait_id for wait_id, wait in self.state.waits.items() if wait.kind == "event"}
        return list(found.values())

    def wait(self, seconds: float) -> None:
        """Let time pass, and fire what comes due."""
        until = self.now + timedelta(seconds=seconds)
        while (due_at := self.state.due_at()) is not None and due_at <= until:
            self.now = max(self.now, due_at)
            due = sorted((w.due_at, name) for name, w in self.state.waits.items() if w.due_at and w.due_at <= self.now)
            changed = [self._settle(self.apply(TimerFired(at=self.now, wait_id=name))).changed for _, name in due]
            assert any(changed), "a timer that is due changes nothing"
        self.now = until

    def suspend(self, *, resume_at: datetime | None = None) -> Step:
        return self.apply(SuspendRequested(at=self.now, reason="a pause", by="ann", resume_at=resume_at))

    def resume(self) -> Step:
        return self._settle(self.apply(ResumeRequested(at=self.now, by="ann")))

    def cancel(self) -> Step:
        return self.apply(CancelRequested(at=self.now, reason="enough", by="ann"))

    def retry(self, source: str = "failed", **edited: Any) -> Step:
        return self._settle(self.apply(RetryRequested(at=self.now, source=source, by="ann", **edited)))

    def requests(self) -> list[RunActivity]:
        """Return what open activities ask for, the oldest first."""
        commands = [wait.command() for wait in self.state.waits.values() if wait.kind == "activity"]
        return [command for command in commands if isinstance(command, RunActivity)]

    def request(self, task: str) -> RunActivity:
        """Return what the oldest open activity of the task of this name asks for."""
        return next(request for request in self.requests() if request.name == task)

    def children(self) -> list[StartChild]:
        commands = [wait.command() for wait in self.state.waits.values() if wait.kind == "child"]
        return [command for command in commands if isinstance(command, StartChild)]

    @property
    def open(self) -> list[str]:
        """Names of the tasks with an open activity, the oldest first."""
        return [request.name for request in self.requests()]

    @property
    def status(self) -> str:
        return self.state.status

    @property
    def output(self) -> Any:
        return self.state.output

    @property
    def problem(self) -> Problem:
        assert self.state.problem is not None
        return self.state.problem

    @property
    def commands(self) -> list[Command]:
        return [command for step in self.steps for command in step.commands]

    @property
    def published(self) -> list[Mapping[str, Any]]:
        return [command.event for command in self.commands if isinstance(command, Publish)]

    @property
    def runs(self) -> list[TaskRun]:
        return [record for step in self.steps for record in step.records if isinstance(record, TaskRun)]

    @property
    def phases(self) -> list[PhaseChange]:
        return [record for step in self.steps for record in step.records if isinstance(record, PhaseChange)]

    @property
    def history(self) -> list[str]:
        """Names of the tasks that ended, in their order, with the status where it is not `completed`."""
        return [run.name if run.status == "completed" else f"{run.name} {run.status}" for run in self.runs]

    def _settle(self, step: Step) -> Step:
        first = step
        while later := [command for command in step.commands if isinstance(command, ContinueLater)]:
            step = self.apply(Continued(at=self.now, wait_id=later[0].wait_id))
        return first


def run(definition: Definition | str, input: Any = None, **options: Any) -> Instance:
    """Return an instance that was started."""
    return Instance(definition, input, **options).start()


def hash_of(state: State) -> str:
    """Return what tells two states apart, hexadecimal."""
    return sha256(encode_state(state)).hexdigest()


def _check(state: State) -> None:
    for id, frame in state.frames.items():
        assert frame.parent < id <= state.counter
        assert frame.parent == 0 or frame.parent in state.frames
    for wait_id, wait in state.waits.items():
        assert wait.frame == 0 or (wait.frame in state.frames and wait_id.split(".")[0] == str(wait.frame))
    assert all(entry.parent == 0 or entry.parent in state.frames for entry in state.agenda)
    if state.is_final:
        assert not state.frames
        assert not state.agenda
        assert not state.held
        assert all(wait.frame == 0 for wait in state.waits.values())


def definitions() -> st.SearchStrategy[Definition]:
    """Generate small definitions of every sort of task that needs no event."""
    return st.recursive(_lists(_leaves()), lambda inner: _lists(_leaves() | _nested(inner)), max_leaves=8).map(
        _document
    )


def _leaves() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just({"call": "work"}),
        st.just({"call": "work", "export": {"as": ". + {seen: true}"}}),
        st.just({"set": {"n": "${ (.n? // 0) + 1 }"}}),
        st.just({"set": {"n": 0}, "then": "exit"}),
        st.just({"set": {"n": 0}, "if": "$context.seen == true", "then": "end"}),
        st.just({"wait": {"seconds": 3}}),
        st.just({"raise": {"error": {"type": "https://example.com/wrong", "status": 400}}}),
        st.just({"switch": [{"big": {"when": "(.n? // 0) > 2", "then": "exit"}}, {"other": {"then": "continue"}}]}),
    )


def _nested(inner: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    retry = {"delay": {"seconds": 1}, "limit": {"attempt": {"count": 2}}}
    return st.one_of(
        inner.map(lambda tasks: {"do": tasks}),
        inner.map(lambda tasks: {"do": tasks, "timeout": {"after": {"seconds": 5}}}),
        inner.map(lambda tasks: {"for": {"in": "[1, 2]"}, "do": tasks}),
        inner.map(lambda tasks: {"for": {"in": "[1, 2, 3]", "parallel": True, "maxConcurrency": 2}, "do": tasks}),
        inner.map(lambda tasks: {"try": tasks, "catch": {"do": [{"mend": {"set": {"mended": "${ $error.status }"}}}]}}),
        inner.map(lambda tasks: {"try": tasks, "catch": {"retry": retry}}),
        st.tuples(inner, st.booleans()).map(lambda pair: {"fork": {"compete": pair[1], "branches": pair[0]}}),
    )


def _lists(tasks: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    bodies = st.lists(tasks, min_size=1, max_size=3)
    return bodies.map(lambda found: [{f"t{number}": body} for number, body in enumerate(found)])


def _document(tasks: list[dict[str, Any]]) -> Definition:
    header = {"dsl": "1.0.3", "namespace": "tests", "name": "generated", "version": "1.0.0"}
    return parse(jsontext.encode({"document": header, "do": tasks}).decode())


def outcomes() -> Iterator[Any]:
    """Yield what a generated instance's activities answer, over and over."""
    while True:
        yield from ({"n": 1}, UNAVAILABLE, {"n": 2, "seen": True}, None)
