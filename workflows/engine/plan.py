"""A definition laid out for walking: what a step needs to know of each task, worked out once.

A `Node` is a task at its place: what comes next, whose list it is in, which stages of the data flow
it has at all. The workflow itself is the root node, a `do` at position `""`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from workflows.dsl.expression import Literal, Template
from workflows.dsl.model import (
    CallTask,
    Definition,
    DoTask,
    Extension,
    ForkTask,
    ForTask,
    ListenTask,
    RunTask,
    SubscriptionIterator,
    Task,
    TaskList,
    TryTask,
)
from workflows.engine.data import Data
from workflows.engine.secrets import Path, paths_read

_POOLS = {
    "http": "http",
    "openapi": "http",
    "a2a": "http",
    "mcp": "http",
    "grpc": "io",
    "asyncapi": "io",
    "container": "compute",
    "script": "compute",
    "shell": "compute",
}
"""Pool of each sort of activity, unless the task's `metadata.pool` names another."""

_SECRET = re.compile(r"\$secret|\{'use': '[^']*'\}")
"""A variable that holds secrets, or a policy that names one."""

_COMPOSITE = frozenset({"do", "for", "fork", "try"})
_KEPT = 256
"""Plans kept at once; a definition that is used again after that is laid out again."""


@dataclass(slots=True, eq=False)
class Block:
    """A list of tasks. That of an extension is shared by all tasks it extends."""

    nodes: tuple[Node, ...] = ()
    by_name: Mapping[str, Node] = field(default_factory=dict, repr=False)


@dataclass(slots=True, eq=False)
class Wrapper:
    """An extension that may apply to a node."""

    extension: Extension
    before: Block | None
    after: Block | None


@dataclass(slots=True, eq=False)
class Node:
    """A task at its place in the definition."""

    task: Task
    position: str
    name: str
    kind: str
    block: Block | None = field(default=None, repr=False)
    """The list it is in; None for the workflow and for functions, which are called, not listed."""

    index: int = 0
    next: Node | None = field(default=None, repr=False)
    body: Block | None = field(default=None, repr=False)
    """The tasks of a `do`, `for` or `try`, of a `foreach`, the branches of a `fork`."""

    catch: Block | None = field(default=None, repr=False)
    wrappers: tuple[Wrapper, ...] = ()
    in_extension: bool = False
    pool: str = ""
    enters_plainly: bool = True
    """Whether nothing stands between the raw input and the task: no `if`, `input`, timeout or extension."""

    ends_plainly: bool = True
    """Whether the raw output is what the next task gets: no `output`, `export` or extension."""

    has_timers: bool = False
    """Whether timers beside its own wait may be open for it."""

    is_leaf: bool = False
    """Whether no task is ever entered below it."""

    @property
    def may_branch(self) -> bool:
        """Whether several of its children may be active at once."""
        return self.kind == "fork" or (isinstance(self.task, ForTask) and self.task.parallel)


@dataclass(slots=True, eq=False)
class Plan:
    """A definition laid out."""

    definition: Definition
    root: Node
    nodes: dict[str, Node]
    """Every task by its position."""

    has_timeouts: bool
    """Whether any task or the workflow limits its time: only then is a deadline looked for."""

    reads_secrets: bool
    """Whether the definition mentions secrets at all: only then are expressions searched for them."""

    _literals: dict[int, Data] = field(default_factory=dict)
    _paths: dict[int, frozenset[Path]] = field(default_factory=dict)

    def literal(self, template: Literal) -> Data:
        """Return the data of a literal, the same for all instances."""
        data = self._literals.get(id(template))
        if data is None:
            data = self._literals[id(template)] = Data(template.value)
        return data

    def paths_read(self, template: Template) -> frozenset[Path]:
        """Return the paths of secrets that a template of this definition reads."""
        paths = self._paths.get(id(template))
        if paths is None:
            paths = self._paths[id(template)] = paths_read(template)
        return paths


def plan_of(definition: Definition) -> Plan:
    """Return the plan of a definition, laid out when it is first asked for."""
    plan = _plans.get(id(definition))
    if plan is None or plan.definition is not definition:
        while len(_plans) >= _KEPT:
            _plans.pop(next(iter(_plans)), None)
        plan = _plans[id(definition)] = _Layout(definition).plan()
    return plan


_plans: dict[int, Plan] = {}


class _Layout:
    """Lays out one definition."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.nodes: dict[str, Node] = {}

    def plan(self) -> Plan:
        definition = self.definition
        workflow = DoTask(
            name="",
            position="",
            source=definition.source,
            input=definition.input,
            output=definition.output,
            timeout=definition.timeout,
            do=definition.do,
        )
        root = self.node(workflow, wrapped=False)
        for function in definition.use.functions.values():
            self.function(function)
        return Plan(
            definition=definition,
            root=root,
            nodes=self.nodes,
            has_timeouts=any(node.has_timers for node in self.nodes.values()),
            reads_secrets=bool(definition.use.secrets) or _SECRET.search(repr(definition.source)) is not None,
        )

    def function(self, task: Task) -> None:
        if task.position not in self.nodes:
            self.node(task)

    def node(self, task: Task, *, in_extension: bool = False, wrapped: bool = True) -> Node:
        node = Node(task, task.position, task.name, task.kind, in_extension=in_extension, pool=_pool(task))
        self.nodes[task.position] = node
        match task:
            case DoTask(do=tasks) | ForTask(do=tasks) | ForkTask(branches=tasks):
                node.body = self.block(tasks, in_extension)
            case ListenTask(foreach=SubscriptionIterator(do=TaskList() as tasks)) if tasks.tasks:
                node.body = self.block(tasks, in_extension)
            case TryTask():
                node.body = self.block(task.try_, in_extension)
                node.catch = self.block(task.catch.do, in_extension) if task.catch.do else None
            case CallTask(function=function) if function:
                self.function(function)
            case _:
                pass
        self.note_stages(node, wrapped and not in_extension)
        return node

    def note_stages(self, node: Node, wrapped: bool) -> None:
        task = node.task
        if wrapped:
            node.wrappers = tuple(self.wrappers(node, self.definition.use.extensions))
        node.has_timers = task.timeout is not None or (isinstance(task, TryTask) and task.catch.retry is not None)
        calls = isinstance(task, CallTask) and (task.function or task.call in self.definition.use.functions)
        node.is_leaf = not (node.body or node.wrappers or calls)
        node.enters_plainly = not (task.if_ or task.input or task.timeout or node.wrappers)
        node.ends_plainly = not (task.output or task.export or node.wrappers)

    def wrappers(self, node: Node, extensions: Iterable[Extension]) -> Iterable[Wrapper]:
        for extension in extensions:
            composite = extension.extend == "composite" and node.kind in _COMPOSITE
            if composite or extension.extend in ("all", node.kind):
                before = self.shared(extension.before) if extension.before else None
                after = self.shared(extension.after) if extension.after else None
                yield Wrapper(extension, before, after)

    def shared(self, tasks: TaskList) -> Block:
        """Return the block of an extension's list, which every task it extends shares."""
        first = self.nodes.get(tasks.tasks[0].position) if tasks.tasks else None
        return first.block if first and first.block else self.block(tasks, in_extension=True)

    def block(self, tasks: TaskList, in_extension: bool) -> Block:
        nodes = tuple(self.node(task, in_extension=in_extension) for task in tasks)
        block = Block(nodes, {node.name: node for node in nodes})
        for index, node in enumerate(nodes):
            node.block, node.index = block, index
            node.next = nodes[index + 1] if index + 1 < len(nodes) else None
        return block


def _pool(task: Task) -> str:
    named = task.metadata.get("pool")
    if isinstance(named, str):
        return named
    match task:
        case CallTask(call=kind) | RunTask(run=kind):
            return _POOLS.get(kind, "")
        case _:
            return ""
