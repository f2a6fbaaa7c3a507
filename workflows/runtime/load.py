"""How much there is to do on all nodes together: what scaling goes by. Read from the database and the broker, so that
no process's own counters can be wrong about it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import quantiles

import msgspec
from django.db.models import Count

from workflows.models import OPEN_STATUSES, Instance, PendingEvent
from workflows.runtime.ports import DispatchError
from workflows.runtime.process import Process
from workflows.runtime.queues import by_pool

WINDOW = timedelta(minutes=5)
"""Instances that ended within it tell the latency."""

MOST_ENDED = 1000
"""The latest of them are looked at."""

MOST_WORKFLOWS = 200
"""Workflow versions that are told one by one, those with the most active instances; the rest is told as one."""


class Active(msgspec.Struct, frozen=True):
    """Instances of one workflow version that are worked on."""

    namespace: str
    workflow: str
    version: str
    count: int


class Load(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What there was to do at one moment."""

    pending: int
    """Instances that were accepted and have not begun."""

    messages: dict[str, dict[str, int]] | None
    """By pool and level; None while the broker is away."""

    events: int
    """Events that were accepted and have not been offered to all whom they concern."""

    active: list[Active]
    latency: dict[str, float]
    """Seconds from start to end by quantile, `0.5`, `0.95` and `0.99`; empty when nothing ended."""

    ended: int
    """Instances that ended within the window, or as many as are looked at."""

    @property
    def workflow_queue(self) -> int:
        """Instances and messages that wait."""
        return self.pending + sum(self.waiting(pool) for pool in self.messages or {})

    def waiting(self, pool: str) -> int:
        """Return the messages of a pool that wait."""
        return sum((self.messages or {}).get(pool, {}).values())


def read_load(process: Process, now: datetime) -> Load:
    """Look at the whole cluster."""
    latency, ended = _latency(now)
    return Load(
        pending=open_counts()["pending"],
        messages=_messages(process),
        events=PendingEvent.objects.count(),
        active=_active(),
        latency=latency,
        ended=ended,
    )


def open_counts() -> dict[str, int]:
    """Return how many instances have not ended, by status. Ended ones are not counted: they are many."""
    rows = Instance.objects.open().values_list("status").annotate(Count("pk")).order_by()
    return dict.fromkeys(OPEN_STATUSES, 0) | dict(rows)


def _messages(process: Process) -> dict[str, dict[str, int]] | None:
    try:
        pools: Mapping[str, Mapping[int, int]] = by_pool(process.workers.depths())
    except DispatchError:
        return None
    return {pool: {str(level): count for level, count in levels.items()} for pool, levels in sorted(pools.items())}


def _active() -> list[Active]:
    running = Instance.objects.open().filter(status="running").values_list("namespace", "workflow", "version")
    found = [Active(*row) for row in running.annotate(count=Count("pk")).order_by("-count", *_NAMES)]
    named, rest = found[:MOST_WORKFLOWS], sum(each.count for each in found[MOST_WORKFLOWS:])
    return [*named, Active("", "", "", rest)] if rest else named


_NAMES = ("namespace", "workflow", "version")


def _latency(now: datetime) -> tuple[dict[str, float], int]:
    ended = Instance.objects.filter(ended_at__gt=now - WINDOW, ended_at__lte=now).order_by("-ended_at")
    rows = ended.values_list("created_at", "ended_at")[:MOST_ENDED]
    spans = [(end - begin).total_seconds() for begin, end in rows if end is not None]
    if not spans:
        return {}, 0
    cuts = quantiles(spans, n=100, method="inclusive") if len(spans) > 1 else spans * 99
    return {"0.5": round(cuts[49], 6), "0.95": round(cuts[94], 6), "0.99": round(cuts[98], 6)}, len(spans)
