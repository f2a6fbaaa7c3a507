"""What may happen to an instance. Facts are the engine's only input besides definition and state.

Every fact carries `at`, aware and in UTC: within a step, time stands still there. A fact that
names a wait which is gone changes nothing, whatever it says.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.problems import Problem


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="fact", tag=True):
    """Something that has happened."""

    at: datetime
    """Database time of what happened, aware, UTC."""


class Started(Fact, frozen=True, kw_only=True, tag=True):
    """The instance begins. Its input stands in the state already."""

    missing_secrets: tuple[str, ...] = ()
    """Names in `use.secrets` that no provider has; reading one is an `authorization` problem."""


class ActivitySucceeded(Fact, frozen=True, kw_only=True, tag=True):
    """An activity ended with an output."""

    wait_id: str
    output: Json = None
    worker: str = ""
    """Name of the process that ran it, for the history."""

    started_at: datetime | None = None
    """When the worker began, for the history; None when unknown."""


class ActivityFailed(Fact, frozen=True, kw_only=True, tag=True):
    """An activity ended with a problem; the task that asked for it decides what next."""

    wait_id: str
    problem: Problem
    """What went wrong; `instance` is filled in by the engine."""

    answered: bool = True
    """Whether the other side is known to have answered. False after a timeout, a crash or a lost
    connection: the next attempt then keeps the idempotency key (`docs/dsl.md`, rule 45)."""

    worker: str = ""
    started_at: datetime | None = None


class ActivityLost(Fact, frozen=True, kw_only=True, tag=True):
    """Nobody holds this ring any more: so the sweeper, or whoever held it, has found. The engine rings again."""

    wait_id: str
    ring: int
    """The ring that was lost. Another ring than the wait's current one changes nothing."""

    blamed: bool = False
    """Whether a process died of this very activity (`docs/architecture.md`, poison)."""

    suspected: bool = False
    """Whether a process died that may have had it in hand, beside others."""

    limit: int = 3
    """Processes that may die with it before its instance is given up."""


class TimerFired(Fact, frozen=True, kw_only=True, tag=True):
    """The time of a timer has come: a `wait`, a retry's delay, a timeout, `resumeAfter`."""

    wait_id: str


class ChildStarted(Fact, frozen=True, kw_only=True, tag=True):
    """A child that is not awaited (`await: false`) is known to exist."""

    wait_id: str


class ChildEnded(Fact, frozen=True, kw_only=True, tag=True):
    """An awaited child instance ended, or could not be started (`problem` then says why)."""

    wait_id: str
    status: Literal["completed", "faulted", "cancelled"]
    output: Json = None
    problem: Problem | None = None


class EventArrived(Fact, frozen=True, kw_only=True, tag=True):
    """A CloudEvent that may be wanted. The listener decides: it takes each once, and what it does not take changes
    nothing.
    """

    wait_id: str
    event: Mapping[str, Json]
    """In JSON format."""

    received_at: datetime | None = None
    """Database time of its acceptance; None for just now. What came before the listener is only for filters that
    correlate.
    """


class Continued(Fact, frozen=True, kw_only=True, tag=True):
    """The step that `ContinueLater` asked for."""

    wait_id: str


class SuspendRequested(Fact, frozen=True, kw_only=True, tag=True):
    """An operator, or the parent, suspends the instance."""

    reason: str = ""
    by: str = ""
    resume_at: datetime | None = None


class ResumeRequested(Fact, frozen=True, kw_only=True, tag=True):
    """The instance goes on; held facts are applied in the order in which they came."""

    reason: str = ""
    by: str = ""


class CancelRequested(Fact, frozen=True, kw_only=True, tag=True):
    """The instance ends as cancelled."""

    reason: str = ""
    by: str = ""


class RetryRequested(Fact, frozen=True, kw_only=True, tag=True):
    """A faulted or cancelled instance is taken up again (`docs/dsl.md`, rule 46)."""

    source: str = "failed"
    """`failed`, `beginning` or a position."""

    input: Json | msgspec.UnsetType = msgspec.UNSET
    """Edited raw input of the task (or of the workflow, from the beginning). For a position without
    it, the caller has filled in the last recorded raw input."""

    reason: str = ""
    by: str = ""


AnyFact = (
    Started
    | ActivitySucceeded
    | ActivityFailed
    | ActivityLost
    | TimerFired
    | ChildStarted
    | ChildEnded
    | EventArrived
    | Continued
    | SuspendRequested
    | ResumeRequested
    | CancelRequested
    | RetryRequested
)
"""Every fact there is: what `advance` takes, and how facts are read back from JSON."""

_decoder: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact, float_hook=Decimal)


def decode_fact(text: bytes | msgspec.Raw) -> AnyFact:
    """Return a fact from its JSON text."""
    return _decoder.decode(text)
