"""A workflow definition as immutable values: one class per object of the DSL reference, in its order.

The parser has already resolved what names point to (`use.timeouts`, `use.retries`, `use.errors`,
`use.authentications`, `use.functions`), so whoever holds a task holds all that it says. Values that
may contain runtime expressions are templates (`dsl/expression.py`).

Source: DSL reference 1.0.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from workflows.dsl.expression import Expression, Template
from workflows.dsl.jsontext import Json

Duration = timedelta | Template
"""A fixed span, or a template that yields an ISO 8601 text or a duration object at run time."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """What the workflow is called, and which DSL it is written in."""

    dsl: str
    namespace: str
    name: str
    version: str
    title: str | None = None
    summary: str | None = None
    tags: Mapping[str, Json] = field(default_factory=dict)
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a service or document is."""

    uri: Template
    """A literal text, a URI template (`UriTemplate`) or an expression."""

    authentication: Template | None = None
    """The policy object (`{basic: {...}}`, `{bearer: ...}` ...), references already resolved."""


@dataclass(frozen=True, kw_only=True)
class ExternalResource:
    """A document that lives outside the definition."""

    endpoint: Endpoint
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a value must look like; exactly one of `document` and `resource` is given."""

    format: str = "json"
    document: Json = None
    resource: ExternalResource | None = None


@dataclass(frozen=True, kw_only=True)
class Input:
    """Stages before a task or the workflow runs: validate the raw input, then transform it."""

    schema: Schema | None = None
    from_: Template | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """Stages after a task or the workflow ran: transform the raw output, then validate it."""

    schema: Schema | None = None
    as_: Template | None = None


@dataclass(frozen=True, kw_only=True)
class Export:
    """What the task leaves in `$context`."""

    schema: Schema | None = None
    as_: Template | None = None


@dataclass(frozen=True, kw_only=True)
class Timeout:
    """How long a task or the workflow may take, retries included."""

    after: Duration


@dataclass(frozen=True, kw_only=True)
class TaskList:
    """Tasks in the order of their declaration; `then` names tasks of the same list."""

    tasks: tuple[Task, ...]
    position: str
    """JSON pointer of the list, e.g. `/do` or `/do/0/safe/try`."""

    indexes: Mapping[str, int]
    """Task name to its index in `tasks`."""

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all tasks share."""

    kind: ClassVar[str]
    """The word of the DSL: `call`, `do`, `fork` ..."""

    name: str
    position: str
    """JSON pointer in the definition, escaped as RFC 6901 says: `/do/0/getPet`."""

    source: Mapping[str, Json]
    """The task object as the author wrote it, for `$task.definition`."""

    if_: Expression | None = None
    input: Input | None = None
    output: Output | None = None
    export: Export | None = None
    timeout: Timeout | None = None
    then: str | None = None
    """`continue`, `exit`, `end` or the name of a task of the same list; None is continue."""

    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CallTask(Task):
    """Asks a service or a function."""

    kind: ClassVar[str] = "call"
    call: str
    """`http`, `openapi`, `grpc`, `asyncapi`, `a2a`, `mcp`, or a function: `name`, `name:version`,
    `name:version@catalog`."""

    with_: Template
    """The arguments object. References to authentications stand resolved in it; an endpoint always
    has the form `{uri, authentication?}`."""

    function: Task | None = None
    """The task of `use.functions` that `call` names. Its position is `/use/functions/<name>`."""


@dataclass(frozen=True, kw_only=True)
class DoTask(Task):
    """Runs tasks one after the other."""

    kind: ClassVar[str] = "do"
    do: TaskList


@dataclass(frozen=True, kw_only=True)
class EmitTask(Task):
    """Publishes a CloudEvent."""

    kind: ClassVar[str] = "emit"
    event: Template
    """The object under `event.with`."""


@dataclass(frozen=True, kw_only=True)
class ForTask(Task):
    """Runs tasks once per item."""

    kind: ClassVar[str] = "for"
    in_: Expression
    do: TaskList
    each: str = "item"
    at: str = "index"
    while_: Expression | None = None
    parallel: bool = False
    max_concurrency: int | None = None


@dataclass(frozen=True, kw_only=True)
class ForkTask(Task):
    """Runs branches at the same time."""

    kind: ClassVar[str] = "fork"
    branches: TaskList
    compete: bool = False


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """One key of a filter's `correlate`."""

    from_: Expression
    expect: Template | None = None


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which CloudEvents are wanted."""

    with_: Mapping[str, Template]
    correlate: Mapping[str, Correlation] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EventStrategy:
    """Which events a `listen` or a schedule consumes. Source: "Event Consumption Strategy"."""

    mode: str
    """`one`, `any` or `all`."""

    filters: tuple[EventFilter, ...]
    until: Expression | EventStrategy | None = None


@dataclass(frozen=True, kw_only=True)
class SubscriptionIterator:
    """What is done with each consumed event. Source: "Subscription Iterator"."""

    item: str = "item"
    at: str = "index"
    do: TaskList | None = None
    output: Output | None = None
    export: Export | None = None


@dataclass(frozen=True, kw_only=True)
class ListenTask(Task):
    """Waits for CloudEvents."""

    kind: ClassVar[str] = "listen"
    to: EventStrategy
    read: str = "data"
    foreach: SubscriptionIterator | None = None


@dataclass(frozen=True, kw_only=True)
class ErrorTemplate:
    """The problem that a `raise` makes; every member may be an expression."""

    type: Template
    status: Template
    title: Template | None = None
    detail: Template | None = None
    instance: Template | None = None


@dataclass(frozen=True, kw_only=True)
class RaiseTask(Task):
    """Faults on purpose."""

    kind: ClassVar[str] = "raise"
    error: ErrorTemplate


@dataclass(frozen=True, kw_only=True)
class RunTask(Task):
    """Runs a container, script, shell command or another workflow."""

    kind: ClassVar[str] = "run"
    run: str
    """`container`, `script`, `shell` or `workflow`."""

    with_: Template
    """The object under that word. For `workflow`: namespace, name, version and, when given, input."""

    await_: bool = True
    return_: str = "stdout"


@dataclass(frozen=True, kw_only=True)
class SetTask(Task):
    """Makes its output from literals and expressions."""

    kind: ClassVar[str] = "set"
    value: Template


@dataclass(frozen=True, kw_only=True)
class SwitchCase:
    """One way out of a `switch`; without `when` it is the default."""

    name: str
    then: str
    when: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class SwitchTask(Task):
    """Chooses what comes next."""

    kind: ClassVar[str] = "switch"
    cases: tuple[SwitchCase, ...]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When and how often to try again. Source: "Retry"; formulas: `docs/dsl.md`."""

    when: Expression | None = None
    except_when: Expression | None = None
    delay: Duration | None = None
    backoff: str = "constant"
    """`constant`, `linear` or `exponential`."""

    increment: Duration | None = None
    """Linear only (extension): added per retry instead of `delay`."""

    multiplier: float = 2.0
    """Exponential only (extension)."""

    max_delay: Duration | None = None
    limit_count: int | None = None
    """Number of retries after the first run; None is without end."""

    limit_attempt_duration: Duration | None = None
    limit_duration: Duration | None = None
    jitter_from: Duration | None = None
    jitter_to: Duration | None = None


@dataclass(frozen=True, kw_only=True)
class Catch:
    """What a `try` does about problems."""

    errors: Mapping[str, Template] | None = None
    """The members of `errors.with`; None catches all."""

    as_: str = "error"
    when: Expression | None = None
    except_when: Expression | None = None
    retry: RetryPolicy | None = None
    do: TaskList | None = None


@dataclass(frozen=True, kw_only=True)
class TryTask(Task):
    """Runs tasks and deals with their problems."""

    kind: ClassVar[str] = "try"
    try_: TaskList
    catch: Catch


@dataclass(frozen=True, kw_only=True)
class WaitTask(Task):
    """Lets time pass."""

    kind: ClassVar[str] = "wait"
    duration: Duration


@dataclass(frozen=True, kw_only=True)
class NothingTask(Task):
    """A task with an empty body (`null`): output is input. Lenient reading only (`semantics.md` 42)."""

    kind: ClassVar[str] = "do"


@dataclass(frozen=True, kw_only=True)
class Extension:
    """Tasks run before and after other tasks."""

    name: str
    extend: str
    """A task kind, `composite` or `all`."""

    when: Expression | None = None
    before: TaskList | None = None
    after: TaskList | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """Reusable parts that are still looked up by name at run time."""

    functions: Mapping[str, Task] = field(default_factory=dict)
    extensions: tuple[Extension, ...] = ()
    secrets: tuple[str, ...] = ()
    catalogs: Mapping[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When instances start by themselves; one of the four is given."""

    every: timedelta | None = None
    cron: str | None = None
    after: timedelta | None = None
    on: EventStrategy | None = None
    time_zone: str = ""
    """IANA name of the zone that `cron` is read in (`document.metadata.schedule.timeZone`); empty for the configured
    one. A text that names a zone itself has its own.
    """

    catch_up: str = ""
    """What to do about starts that were missed: `skip`, `once` or `all` (`document.metadata.schedule.catchUp`); empty
    for what is configured.
    """


@dataclass(frozen=True, kw_only=True)
class Warning_:  # noqa: N801  (`Warning` is Python's)
    """Something accepted that the author should change."""

    pointer: str
    message: str
    line: int
    column: int

    def to_json(self) -> dict[str, Json]:
        """Return it as the API answers it."""
        return {"pointer": self.pointer, "line": self.line, "column": self.column, "message": self.message}


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A parsed workflow document, identified by namespace, name and version."""

    document: Document
    do: TaskList
    source: Mapping[str, Json]
    """The whole document as JSON, for `$workflow.definition`."""

    digest: str
    """SHA-256 of the text as given, hexadecimal."""

    input: Input | None = None
    output: Output | None = None
    use: Use = field(default_factory=Use)
    timeout: Timeout | None = None
    schedule: Schedule | None = None
    mode: str = "strict"
    """`strict` or `loose` (`evaluate.mode`)."""

    tasks: Mapping[str, Task] = field(default_factory=dict)
    """Every task of the document by its position, those of functions and extensions included."""

    warnings: tuple[Warning_, ...] = ()
