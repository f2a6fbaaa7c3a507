"""What a `listen` asks people, as its `metadata.approval` says, and the CloudEvent that is the answer.

Nothing is stored of a question: it stands in the state of the instance that asks, and is gone with the wait. The answer
has whatever the task's filter requires, so that it reaches this task and no other.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from workflows.dsl.expression import ExpressionSyntaxError, Literal, parse_template
from workflows.dsl.jsontext import Json, encode
from workflows.dsl.model import Definition, EventFilter, ListenTask
from workflows.dsl.position import unescaped
from workflows.engine.correlation import Pattern, matches
from workflows.engine.plan import plan_of
from workflows.engine.problems import ProblemError
from workflows.engine.scope import Scope
from workflows.engine.secrets import redact
from workflows.engine.state import Listening, State
from workflows.runtime.views import instant

SOURCE = "/api/v1/approvals"
TYPE = "io.lemline.approval.answered"
"""Source and type of an answer where the filter does not say which."""

DECISIONS = ("approve", "reject")
"""Where the task names none."""

LONGEST_DECISION = 100
_MEMBERS = frozenset({"question", "data", "decisions"})
_PATH = re.compile(r"\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
"""Expressions by which the answer can be made to correlate: a plain path."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody decided."""

    decision: str
    by: str
    data: Json = None
    """What they said besides; None for nothing."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One that is open."""

    instance: str
    frame: int
    namespace: str
    workflow: str
    version: str
    position: str
    task: str
    question: str
    data: Json
    decisions: tuple[str, ...]
    asked_at: datetime
    problem: str
    """Why it cannot be answered here; empty when it can."""

    scope: Scope
    pattern: Pattern
    bound: Mapping[str, Json]

    @property
    def id(self) -> str:
        """Its name: no other question has it, neither now nor later."""
        return f"{self.instance}.{self.frame}"

    def to_json(self) -> dict[str, Json]:
        """Return it as the doors show it."""
        return {
            "id": self.id,
            "instance": self.instance,
            "workflow": {"namespace": self.namespace, "name": self.workflow, "version": self.version},
            "position": self.position,
            "task": self.task,
            "question": self.question,
            "data": self.data,
            "decisions": list(self.decisions),
            "askedAt": instant(self.asked_at),
            "problem": self.problem or None,
        }

    def event(self, answer: Answer, at: datetime) -> dict[str, Json]:
        """Return the CloudEvent that tells an answer: the same id for each answer, so that one of them counts."""
        said: dict[str, Json] = {"approval": self.id, "decision": answer.decision, "by": answer.by}
        if answer.data is not None:
            said["data"] = answer.data
        event: dict[str, Json] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.pattern.source or SOURCE,
            "type": self.pattern.type or TYPE,
            "subject": self.instance,
            "time": instant(at),
            "datacontenttype": "application/json",
            **self.pattern.equal,
            "data": said,
        }
        for name, correlate in self.pattern.correlate.items():
            value = self.bound.get(name) if correlate.expect is msgspec.UNSET else correlate.expect
            if value is not None and _PATH.fullmatch(correlate.from_):
                _put(event, correlate.from_[1:].split("."), value)
        return event

    def takes(self, event: Mapping[str, Json]) -> bool:
        """Return whether the task's filter takes an event."""
        return matches(self.pattern, event, self.bound, self.scope) is not None


def asks(definition: Definition) -> bool:
    """Return whether a definition has tasks that ask people."""
    nodes = plan_of(definition).nodes.values()
    return any(isinstance(node.task, ListenTask) and "approval" in node.task.metadata for node in nodes)


def questions_of(definition: Definition, state: State, at: datetime) -> Iterator[Question]:
    """Yield what an instance asks, in the order of asking."""
    plan = plan_of(definition)
    waiting = sorted(wait.frame for wait in state.waits.values() if wait.kind == "event")
    for frame in waiting:
        scope = Scope(plan, state, at, frame)
        task, memo = scope.node.task, scope.frame.memo
        if (
            isinstance(task, ListenTask)
            and isinstance(memo, Listening)
            and not memo.is_done
            and "approval" in task.metadata
        ):
            yield _question(scope, task, memo)


def split_id(text: str) -> tuple[UUID, int] | None:
    """Return instance and frame of a question's id; None for what is none."""
    name, _, frame = text.rpartition(".")
    try:
        return (UUID(name), int(frame)) if frame.isascii() and frame.isdecimal() and len(frame) < 16 else None
    except ValueError:
        return None


def _question(scope: Scope, task: ListenTask, memo: Listening) -> Question:
    said = task.metadata["approval"]
    told = said if isinstance(said, dict) else {}
    problems = [*_misspelled(said), *_unreachable(task, memo)]
    name = unescaped(scope.node.position.rpartition("/")[2])
    text, data = (_rendered(scope, member, told.get(member), problems) for member in ("question", "data"))
    document = scope.plan.definition.document
    question = Question(
        instance=scope.state.instance_id, frame=scope.id,
        namespace=document.namespace, workflow=document.name, version=document.version,
        position=scope.node.position, task=name,
        question=name if text is None else text if isinstance(text, str) else encode(text).decode(),
        data=data, decisions=_decisions(told), asked_at=scope.frame.started_at,
        problem="; ".join(problems), scope=scope,
        pattern=memo.wanted.patterns[0], bound=memo.hearing.bound,
    )  # fmt: skip
    answers = (Answer(decision=each, by="") for each in question.decisions)
    if problems or any(question.takes(question.event(answer, scope.at)) for answer in answers):
        return question
    return replace(question, problem="the filter takes none of the decisions: it asks for what this door cannot know")


def _misspelled(said: Json) -> Iterator[str]:
    if not isinstance(said, dict):
        yield "metadata.approval is an object with question, data and decisions"
        return
    for name in said.keys() - _MEMBERS:
        yield f"metadata.approval has no {name}; there are question, data and decisions"
    decisions = said.get("decisions", list(DECISIONS))
    if not isinstance(decisions, list) or not decisions or not all(map(_is_decision, decisions)):
        yield f"metadata.approval.decisions is a list of texts of 1 to {LONGEST_DECISION} characters"


def _is_decision(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_DECISION


def _decisions(told: Mapping[str, Json]) -> tuple[str, ...]:
    decisions = told.get("decisions", list(DECISIONS))
    texts = filter(_is_decision, decisions) if isinstance(decisions, list) else ()
    return tuple(dict.fromkeys(texts)) or DECISIONS


def _unreachable(task: ListenTask, memo: Listening) -> Iterator[str]:
    """Yield why an answer would not reach this task alone."""
    if task.to.mode != "one":
        yield "an approval listens to `one` event"
    elif not _is_own(task.to.filters[0], memo.wanted.patterns[0]):
        yield (
            "nothing in the filter tells this instance from others, so that an answer would reach them as well;"
            " write e.g. subject: ${ $workflow.id }"
        )


def _is_own(wanted: EventFilter, pattern: Pattern) -> bool:
    """Return whether the filter requires something that the instance says, and not the definition."""
    required = {*pattern.equal, *(name for name in ("type", "source") if getattr(pattern, name))}
    if any(not isinstance(wanted.with_[name], Literal) for name in required):
        return True
    expected = (each.expect for each in wanted.correlate.values())
    return any(each is not None and not isinstance(each, Literal) for each in expected)


def _rendered(scope: Scope, member: str, value: Json, problems: list[str]) -> Json:
    """Return what is shown. Secrets are shown by name."""
    try:
        return redact(scope.render(parse_template(value), scope.frame.input.value))
    except (ExpressionSyntaxError, ProblemError) as error:
        problems.append(f"metadata.approval.{member}: {error}")
        return None


def _put(event: dict[str, Json], path: list[str], value: Json) -> None:
    """Set a value within an event, and objects on the way to it."""
    inner = event
    for name in path[:-1]:
        below = inner.get(name)
        if not isinstance(below, dict):
            below = inner[name] = {}
        inner = below
    inner[path[-1]] = value
