"""What can be set about CloudEvents: a frozen dataclass per key family, as in `sections.py`."""

from dataclasses import dataclass, field
from datetime import timedelta


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
class Events:
    """CloudEvents that were received or emitted."""

    retention: timedelta = timedelta(days=7)
    """How long they are kept. For so long the same event, received again, is known."""

    lifecycle: LifeCycle = field(default_factory=LifeCycle)
