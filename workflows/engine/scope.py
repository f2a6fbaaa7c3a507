"""What a task sees while it is worked on: its data, and the arguments of its expressions.

A `Scope` is the mapping of variables itself. Each is made when an expression asks for it, so a
descriptor that no expression names costs nothing.

Source: DSL, "Runtime expression arguments".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from workflows.dsl import jsontext
from workflows.dsl.duration import parse_duration
from workflows.dsl.expression import Expression, Literal, Template
from workflows.dsl.jsontext import Json
from workflows.dsl.model import Duration, ForTask, ListenTask, TryTask
from workflows.engine import expressions
from workflows.engine.authorization import authorization_of
from workflows.engine.cloud_events import reading
from workflows.engine.data import Data
from workflows.engine.plan import Node, Plan
from workflows.engine.problems import Problem, ProblemError, problem
from workflows.engine.secrets import marks
from workflows.engine.state import Attempts, Extended, Frame, Listening, Loop, Spread, State

DATA_LIMIT_BYTES = 16 * 1024 * 1024
"""What one document, and the whole stored state, may take."""

RUNTIME: Mapping[str, Json] = {"name": "Lemline", "version": "1.0.0", "metadata": {}}


class Scope(Mapping[str, Json]):
    """One frame at one moment."""

    __slots__ = ("_paths", "at", "extra", "frame", "id", "node", "output", "plan", "raw_output", "state")

    def __init__(self, plan: Plan, state: State, at: datetime, id: int) -> None:
        self.plan = plan
        self.state = state
        self.at = at
        self.id = id
        self.frame = state.frames[id]
        self.node = plan.nodes[self.frame.position]
        self.extra: Mapping[str, Json] = {}
        """Variables of this evaluation alone: an item, a problem."""

        self.raw_output: Data | None = None
        self.output: Data | None = None
        self._paths: frozenset[tuple[str, ...]] = frozenset()

    def evaluate(self, expression: Expression, value: Json) -> Json:
        """Return the first result of an expression, null without one. Raises ProblemError."""
        self._look_for_secrets(expression)
        return expressions.evaluate(expression, value, self)

    def evaluate_required(self, expression: Expression, value: Json) -> Json:
        """Return the first result of an expression that must have one. Raises ProblemError."""
        self._look_for_secrets(expression)
        return expressions.evaluate_required(expression, value, self)

    def test(self, expression: Expression, value: Json) -> bool:
        """Return what a condition says. Raises ProblemError when it says neither true nor false."""
        self._look_for_secrets(expression)
        return expressions.test(expression, value, self)

    def render(self, template: Template, value: Json) -> Json:
        """Return a template's value. Raises ProblemError."""
        if type(template) is Literal:
            return template.value
        self._look_for_secrets(template)
        return expressions.render(template, value, self)

    def render_data(self, template: Template, data: Data) -> Data:
        """Return a template's value as data; the data itself where the template hands it on. Raises ProblemError."""
        if type(template) is Literal:
            return self.plan.literal(template)
        value = data.value
        rendered = self.render(template, value)
        return data if rendered is value and isinstance(value, (dict, list)) else checked(rendered)

    def kept(self, value: Json) -> Data:
        """Return what an expression gave as data, sharing the input's when it is the input. Raises ProblemError."""
        data = self.frame.input
        return data if value is data.value else checked(value)

    def duration(self, duration: Duration) -> timedelta:
        """Return a span of time. Raises ProblemError when it is none."""
        if isinstance(duration, timedelta):
            return duration
        value = self.render(duration, self.frame.input.value)
        try:
            return parse_duration(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ProblemError(problem("expression", f"{shown(value)} is no duration: {error}")) from error

    def after(self, span: timedelta) -> datetime:
        """Return the time that lies so far ahead. Raises ProblemError beyond the calendar."""
        try:
            return self.at + span
        except OverflowError as error:
            raise ProblemError(problem("expression", f"{span} from now is beyond the year 9999")) from error

    def with_extra(self, extra: Mapping[str, Json]) -> Scope:
        """Return this scope with further variables."""
        scope = Scope(self.plan, self.state, self.at, self.id)
        scope.extra = extra
        return scope

    def __getitem__(self, name: str) -> Json:
        if name in self.extra:
            return self.extra[name]
        make = _ARGUMENTS.get(name)
        return self._local(name) if make is None else make(self)

    def __contains__(self, name: object) -> bool:
        return name in self.extra or name in _ARGUMENTS or any(known == name for known, _ in self._locals())

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*_ARGUMENTS, *self.extra, *(name for name, _ in self._locals())])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _local(self, name: str) -> Json:
        for known, value in self._locals():
            if known == name:
                return value()
        raise KeyError(name)

    def _locals(self) -> Iterator[tuple[str, Callable[[], Json]]]:
        """Variables of enclosing loops and catches, the innermost first. A function sees none of its caller's."""
        child, node = self.frame, self.node
        while child.parent and not (node.block is None and node.position):
            frame = self.state.frames[child.parent]
            parent = self.plan.nodes[frame.position]
            yield from _bound_by(parent, frame, child, node)
            child, node = frame, parent

    def _look_for_secrets(self, template: Template) -> None:
        if not self.plan.reads_secrets:
            return
        self._paths = self.plan.paths_read(template)
        readable = self._readable_secrets()
        for path in self._paths:
            if path and path[0] not in readable:
                missing = f"the secret {path[0]!r} does not exist or is not declared"
                raise ProblemError(problem("authorization", missing))

    def _readable_secrets(self) -> list[str]:
        missing = self.state.missing_secrets
        return [name for name in self.plan.definition.use.secrets if name not in missing]

    def _secrets(self) -> Json:
        return marks(self.state.seal, self._readable_secrets(), self._paths)

    def _task(self) -> Json:
        """The current task; for the tasks of an extension, the one they extend."""
        frame, node = self.frame, self.node
        while node.in_extension:
            frame = self.state.frames[frame.parent]
            node = self.plan.nodes[frame.position]
        described = {
            "name": node.name,
            "reference": node.position,
            "definition": node.task.source,
            "input": frame.raw.value,
            "startedAt": _moment(frame.started_at),
        }
        output = frame.memo.output if isinstance(frame.memo, Extended) else None
        output = self.raw_output if frame is self.frame else output
        if output is not None:
            described["output"] = output.value
        return described

    def _workflow(self) -> Json:
        return {
            "id": self.state.instance_id,
            "definition": self.plan.definition.source,
            "input": self.state.input,
            "startedAt": _moment(self.state.started_at or self.at),
        }


_ARGUMENTS: Mapping[str, Callable[[Scope], Json]] = {
    "context": lambda scope: scope.state.shared.value,
    "input": lambda scope: scope.frame.input.value,
    "output": lambda scope: None if scope.output is None else scope.output.value,
    "secrets": Scope._secrets,
    "secret": Scope._secrets,
    "task": Scope._task,
    "workflow": Scope._workflow,
    "runtime": lambda _: RUNTIME,
    "authorization": authorization_of,
    "now": lambda scope: scope.at.timestamp(),
}


def checked(value: Json) -> Data:
    """Return a value that an expression or the world gave as data.

    Raises:
        ProblemError: It cannot be written as JSON (`expression`), or is too large (`runtime`).
    """
    data = Data(value)
    try:
        size = len(data.text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProblemError(problem("expression", f"the value cannot be written as JSON: {error}")) from error
    if size > DATA_LIMIT_BYTES:
        raise ProblemError(problem("runtime", f"a value of {size} bytes is over the limit of {DATA_LIMIT_BYTES}"))
    return data


def as_json(problem: Problem) -> dict[str, Json]:
    """Return a problem as expressions see it."""
    members = ("type", "status", "title", "detail", "instance")
    return {name: value for name in members if (value := getattr(problem, name)) is not None}


def shown(value: Json) -> str:
    """Return a value for a message, shortened."""
    text = jsontext.encode(value).decode(errors="replace")
    return text if len(text) <= 80 else text[:77] + "..."


def _bound_by(parent: Node, frame: Frame, child: Frame, node: Node) -> Iterator[tuple[str, Callable[[], Json]]]:
    task, memo = parent.task, frame.memo
    if isinstance(task, ForTask) and isinstance(memo, (Loop, Spread)) and child.iteration is not None:
        index = child.iteration
        yield task.each, lambda: memo.items.value[index]
        yield task.at, lambda: index
    elif isinstance(task, ListenTask) and isinstance(memo, Listening) and task.foreach and memo.in_hand:
        each, event, count = task.foreach, memo.queue[0], memo.count
        yield each.item, lambda: reading(event.value, task.read)
        yield each.at, lambda: count
    elif isinstance(task, TryTask) and isinstance(memo, Attempts) and memo.problem and node.block is parent.catch:
        caught = memo.problem
        yield task.catch.as_, lambda: as_json(caught)


def _moment(at: datetime) -> Json:
    seconds = int(at.timestamp())
    return {
        "iso8601": at.isoformat().replace("+00:00", "Z"),
        "epoch": {"seconds": seconds, "milliseconds": seconds * 1000 + at.microsecond // 1000},
    }
