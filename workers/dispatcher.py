"""Rings the pools: commands of a commit become Celery jobs."""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from django.conf import settings
from django.db import DatabaseError

from workers.activities import functions
from workers.claims import Claims, LocalClaims, RedisClaims, has_died
from workers.message import Message, message_of
from workers.pools import ACTIVITY_POOLS, SHARES
from workers.publisher import Publisher, connect_publisher
from workers.routing import Routing, routing
from workflows import models
from workflows.engine.commands import RunActivity
from workflows.runtime.cluster import Presence
from workflows.runtime.ports import Delivery, DispatchError, Workers

log = logging.getLogger("lemline.dispatcher")

DEFAULT_POOL = "compute"

COUNT_SECONDS = 2.0
"""How long the number of a pool's processes is believed."""

AWAY_SECONDS = 1.0
"""After a failure, how long the broker counts as away without being asked: a stepper must not wait for it."""


def connect(presence: Presence) -> Workers:
    """Return the way to the workers that the configuration names."""
    functions.load(settings.LEMLINE.activities)
    names = routing(settings.LEMLINE)
    if names.broker == "memory":
        return Unreachable(names)
    return CeleryWorkers(names, connect_publisher(names), make_claims(presence), presence)


def make_claims(presence: Presence) -> Claims:
    """Return the place where claims are kept."""
    config = settings.LEMLINE
    if not config.cache.url.startswith(("redis", "unix")):
        return LocalClaims(presence)
    return RedisClaims(config.cache.url, config.cluster.namespace, presence, config.execution.lease)


def pool_of(command: RunActivity) -> str:
    """Return the pool of an activity: what its task says, else what its function says."""
    if command.pool:
        return command.pool if command.pool in ACTIVITY_POOLS else DEFAULT_POOL
    return functions.pool_of(command.arguments.get("function", "")) or DEFAULT_POOL


def messages_of(
    names: Routing, deliveries: Sequence[Delivery], size: Callable[[str, int, int], int]
) -> Iterable[Message]:
    """Yield the messages that ring for these, one for each suspect.

    Args:
        names: Knows the levels.
        deliveries: What became ready.
        size: Pool, level and how many are ready for them, to how many of those travel together.
    """
    groups: dict[tuple[str, int], list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        pool, level = pool_of(delivery.command), names.level_of(delivery.priority)
        if delivery.command.suspect:
            yield message_of(pool, level, [delivery])
        else:
            groups[pool, level].append(delivery)
    for (pool, level), ready in groups.items():
        together = size(pool, level, len(ready))
        for start in range(0, len(ready), together):
            yield message_of(pool, level, ready[start : start + together])


class Pooled:
    """What all ways to the workers share: which queue an activity belongs to."""

    def __init__(self, names: Routing) -> None:
        self.names = names

    def queue_of(self, command: RunActivity, priority: int) -> str:
        """Return the label of pool and level."""
        return self.queue_label(pool_of(command), self.names.level_of(priority))

    def queue_label(self, pool: str, level: int) -> str:
        """Return the label of pool and level."""
        return self.names.label(pool, level)

    def function(self, name: str) -> object | None:
        """Look it up among those registered in this process."""
        return functions.lookup(name)


class Unreachable(Pooled):
    """`memory://` belongs to the process that serves it; others store, and its timekeeper rings."""

    def dispatch(self, deliveries: Sequence[Delivery]) -> None:
        """Nobody is in reach."""
        raise DispatchError("the workers of memory:// live in another process")

    def cancel(self, instance_id: str, wait_id: str) -> None:
        """Nobody is in reach."""

    def depths(self) -> Mapping[str, int]:
        """Nobody is in reach."""
        raise DispatchError("the workers of memory:// live in another process")

    def died_with(self, instance_id: str, wait_id: str, ring: int) -> bool:
        """Nobody is known to have begun it."""
        return False


class CeleryWorkers(Pooled):
    """Workers behind a broker."""

    def __init__(self, names: Routing, publisher: Publisher, claims: Claims, presence: Presence) -> None:
        super().__init__(names)
        self.claims = claims
        self._publisher = publisher
        self._presence = presence
        self._counted_at = 0.0
        self._processes: dict[str, int] = {}
        self._away_until = 0.0
        self._waiting: dict[str, int] = {}
        """Messages that waited per queue and level when we last published there."""

    def dispatch(self, deliveries: Sequence[Delivery]) -> None:
        """Publish them in as few messages as leave work for every consumer, all in one round trip."""
        self.publish(list(messages_of(self.names, deliveries, self._size)))

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish these as they are. DispatchError when the broker is away."""
        if time.monotonic() < self._away_until:
            raise DispatchError("the broker was away a moment ago")
        try:
            self._waiting.update(self._publisher.publish(messages))
        except DispatchError:
            self._away_until = time.monotonic() + AWAY_SECONDS
            raise

    def _size(self, pool: str, level: int, ready: int) -> int:
        """Return how many activities travel together: all that may, while no consumer is idle; else a share each."""
        most = settings.LEMLINE.messaging.consumer.max_batch
        processes = self._count(pool)
        if self._waiting.get(self.names.label(pool, level), 0) > processes:
            return most
        return min(most, max(SHARES.get(pool, 1), math.ceil(ready / processes)))

    def _count(self, pool: str) -> int:
        """Return how many processes serve a pool, as of a moment ago."""
        now = time.monotonic()
        if now - self._counted_at > COUNT_SECONDS:
            self._counted_at = now
            self._processes = _count_processes(self._presence)
        return max(1, self._processes.get(pool, 1))

    def cancel(self, instance_id: str, wait_id: str) -> None:
        """Stop it here; elsewhere the next heartbeat's answer does."""
        self._presence.cancel(instance_id, wait_id)

    def depths(self) -> Mapping[str, int]:
        """Ask the broker."""
        return self._publisher.depths()

    def died_with(self, instance_id: str, wait_id: str, ring: int) -> bool | None:
        """Ask the claim."""
        return has_died(self.claims.holder((instance_id, wait_id, ring)), self._presence)


def _count_processes(presence: Presence) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    try:
        for roles in models.Node.objects.filter(seen_at__gt=presence.horizon()).values_list("roles", flat=True):
            for role in roles.split(","):
                counts[role] += 1
    except DatabaseError as error:
        log.warning("database.away", extra={"error": str(error)})
    return counts
