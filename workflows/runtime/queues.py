"""How long the queues are, and who serves them: what an operator looks at first when it gets slow."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workflows import models
from workflows.dsl.jsontext import Json
from workflows.runtime.ports import DispatchError
from workflows.runtime.process import current


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One pool's queue."""

    pool: str
    depth: Mapping[int, int] | None
    """Messages waiting by level, 1 the most urgent; None while the broker is away or in another process."""

    consumers: int
    """Processes that serve it and were heard of within a lease."""

    oldest_seconds: float | None
    """No message of it waits longer than this; None when none waits, or none was ever taken."""

    def to_json(self) -> dict[str, Json]:
        """Return it as the doors show it."""
        depth = None if self.depth is None else {str(level): count for level, count in sorted(self.depth.items())}
        oldest = None if self.oldest_seconds is None else round(self.oldest_seconds, 3)
        return {"pool": self.pool, "depth": depth, "consumers": self.consumers, "oldestAgeSeconds": oldest}


def read_queues() -> list[Queue]:
    """Return every pool's queue, by name."""
    process = current()
    try:
        depths: dict[str, dict[int, int]] | None = by_pool(process.workers.depths())
    except DispatchError:
        depths = None
    consumers, taken = _nodes(process.presence.horizon())
    now = process.clock.now()
    return [
        Queue(
            pool=pool,
            depth=None if depths is None else depths[pool],
            consumers=consumers[pool],
            oldest_seconds=None if depths is None else _oldest(pool, depths[pool], taken, now),
        )
        for pool in sorted(depths or consumers)
    ]


def by_pool(labels: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Labels are `pool/level`, as routing makes them."""
    pools: dict[str, dict[int, int]] = defaultdict(dict)
    for label, count in labels.items():
        pool, _, level = label.rpartition("/")
        pools[pool][int(level)] = count
    return pools


def _nodes(horizon: datetime) -> tuple[dict[str, int], dict[str, datetime]]:
    """Count the living processes by role, and find the latest stamp that any of them took by label."""
    consumers: dict[str, int] = defaultdict(int)
    taken: dict[str, datetime] = {}
    living = models.Node.objects.filter(seen_at__gt=horizon)
    for roles, stamps in living.values_list("roles", "taken"):
        for role in filter(None, roles.split(",")):
            consumers[role] += 1
        for label, text in stamps.items():
            stamp = datetime.fromisoformat(text)
            taken[label] = max(stamp, taken.get(label, stamp))
    return consumers, taken


def _oldest(pool: str, depth: Mapping[int, int], taken: Mapping[str, datetime], now: datetime) -> float | None:
    """A level is first in, first out: what waits was rung after what was taken last."""
    stamps = [taken[f"{pool}/{level}"] for level, count in depth.items() if count and f"{pool}/{level}" in taken]
    return max(((now - stamp).total_seconds() for stamp in stamps), default=None)
