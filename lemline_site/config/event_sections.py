"""What can be set about CloudEvents: a frozen dataclass per key family, as in `sections.py`."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LifeCycle:
    """CloudEvents that say what becomes of workflows and tasks."""

    status_changed: bool = False
    """Also tell `workflow.status-changed` and `task.status-changed`, which the specification leaves to the runtime: a
    second event for most of what happens, with the new status and nothing else."""

    source: str = "/api/v1"
    """What their `source` begins with; `/workflows/<namespace>/<name>/<version>` follows. Behind a public name, the
    URL of this API: `https://lemline.example.com/api/v1`."""

    streams: int = 8
    """Streams of `GET /api/v1/events/stream` that a web process serves at the same time; each holds one of its threads,
    and half of them at most (`lemline.web.threads`). More are answered 429."""


@dataclass(frozen=True, kw_only=True)
class Sinks:
    """How CloudEvents are sent to sinks."""

    timeout: timedelta = timedelta(seconds=10)
    """How long a sink may take for an event."""

    first_pause: timedelta = timedelta(seconds=1)
    """After a sink was away, or did not take an event; twice as long each time."""

    longest_pause: timedelta = timedelta(minutes=1)
    """Up to this."""

    attempts: int = 20
    """An event that a sink refuses so often, while it takes others, is a dead letter. A sink that is away is tried for
    ever."""

    concurrency: int = 16
    """Instances whose events are sent to a sink at the same time; those of one instance follow each other."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """CloudEvents that were received or emitted."""

    retention: timedelta = timedelta(days=7)
    """How long they are kept. For so long the same event, received again, is known."""

    scope: Literal["shared", "namespace"] = "shared"
    """`shared`: there is one bus, and an event is unique on it by source and id. `namespace`: an event lives in one
    namespace, is unique there, and only listeners of that namespace hear of it."""

    consumer_strategy: Literal["COMPETING_CONSUMERS", "PARTITIONED"] = "COMPETING_CONSUMERS"
    """`COMPETING_CONSUMERS`: whichever process of the role `events` is free takes what waits. `PARTITIONED`: the events
    of a source are always taken by the same one; when it dies, they wait for a lease (`lemline.execution.lease`).
    Either way those of one source are offered in order, and each once."""

    consumer_count: int = 5
    """Batches of events that a process of the role `events` has in hand at the same time, at most."""

    lifecycle: LifeCycle = field(default_factory=LifeCycle)

    bridges: tuple[str, ...] = ()
    """Where else events come from: `redis://host:6379/0?stream=orders`, `amqp://user:password@host:5672/vhost?queue=orders`,
    `nats://host:4222?subject=orders.>`, `mqtt://host:1883?topic=orders/%23`, `kafka://host:9092?topic=orders`. Workers
    with the role `events` take from them, one process at a time from each. See docs/event-sources.md."""
    sinks: Sinks = field(default_factory=Sinks)


@dataclass(frozen=True, kw_only=True)
class EventProcessor:
    """Offers received events to listeners."""

    enabled: bool = True
    """Whether processes of the role `events` do so. Events are accepted all the same, up to `max-events`."""

    max_events: int = 10_000
    """Events that have been received and not yet been offered. While there are so many, no more are accepted: HTTP is
    answered 429, bridges wait."""
