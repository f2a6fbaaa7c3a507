"""What the engine wants done. The runtime carries commands out after the step has committed."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.correlation import Pattern


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="command", tag=True):
    """Something wanted."""


class RunActivity(Command, frozen=True, kw_only=True, tag=True):
    """Outside work, answered by `ActivitySucceeded` or `ActivityFailed`. Stands in the wait as well,
    so that a second ring sends the same bytes.
    """

    wait_id: str
    kind: str
    """Which activity: `http`, `openapi`, `grpc`, `asyncapi`, `a2a`, `mcp`, `function`, `shell`,
    `script`, `container`."""

    name: str
    """Name of the task, for people."""

    position: str
    arguments: Json
    """Evaluated arguments. Secrets are opaque marks (`engine/secrets.py`)."""

    pool: str
    """`http`, `compute` or `io`; the task's `metadata.pool` when it names one. Empty for a registered
    function that leaves the choice to its registration."""

    attempt: int = 1
    """1 for the first run of the task's entry, counted up by each retry."""

    ring: int = 1
    """How often this wait was rung."""

    rung_at: datetime
    """Stamp: database time of the transaction that rang."""

    idempotency_key: str
    """Stable per entry of the task (`docs/dsl.md`, rule 45)."""

    deadline_at: datetime | None = None
    """When the nearest enclosing timeout ends it; None without one."""

    iteration: int | None = None
    """Index of the innermost `for` around the task, for the history."""

    suspect: bool = False
    """A process died with this ring's predecessor in hand: run it alone."""


class SetTimer(Command, frozen=True, kw_only=True, tag=True):
    """Answered by `TimerFired` at `due_at`."""

    wait_id: str
    due_at: datetime


class Subscribe(Command, frozen=True, kw_only=True, tag=True):
    """CloudEvents are wanted; answered by `EventArrived`, as often as they come, until `Cancel` of kind `event`.

    Given again under the same wait when an event has settled a correlation: from then on fewer events are wanted.
    """

    wait_id: str
    position: str
    patterns: tuple[Pattern, ...]
    """Filters that still want something. An event that none of them matches need not be offered."""

    bound: Mapping[str, Json] = {}
    """Values of correlations that are settled, by name; `correlation.interest_of` takes them."""

    correlated: bool = False
    """Whether events that were accepted before `since`, and kept, are wanted by the filters that correlate."""

    since: datetime
    """When the listener began. Filters that do not correlate want what is accepted from then on."""

    again: bool = False
    """Whether this wait is subscribed already, to more."""


class StartChild(Command, frozen=True, kw_only=True, tag=True):
    """Another workflow is to be started. `child_id` follows from parent and wait, so a second start
    finds the first. Answered by `ChildEnded`, or `ChildStarted` when not awaited.
    """

    wait_id: str
    child_id: str
    namespace: str
    name: str
    version: str
    input: Json
    awaited: bool = True
    ring: int = 1
    rung_at: datetime


class ContinueLater(Command, frozen=True, kw_only=True, tag=True):
    """The step stopped after its number of moves; answered by `Continued`."""

    wait_id: str
    ring: int = 1
    rung_at: datetime


class Publish(Command, frozen=True, kw_only=True, tag=True):
    """A CloudEvent of `emit` leaves. Written as a row by the step's own transaction."""

    event: Mapping[str, Json]
    """CloudEvent 1.0 in JSON format; its id follows from the instance and its counter."""


class Cancel(Command, frozen=True, kw_only=True, tag=True):
    """A wait was dropped: whoever works for it may stop."""

    wait_id: str
    kind: Literal["activity", "child", "timer", "event", "continue"]
    child_id: str = ""


class Finish(Command, frozen=True, kw_only=True, tag=True):
    """The instance reached a final status."""

    status: Literal["completed", "faulted", "cancelled"]


AnyCommand = RunActivity | SetTimer | Subscribe | StartChild | ContinueLater | Publish | Cancel | Finish
Ringable = RunActivity | StartChild | ContinueLater
"""Commands that are given again when nobody answers."""

_ringable: msgspec.json.Decoder[Ringable] = msgspec.json.Decoder(Ringable, float_hook=Decimal)


def decode_command(text: bytes | msgspec.Raw) -> Ringable:
    """Return the command that a wait keeps as JSON."""
    return _ringable.decode(text)
