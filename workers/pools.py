"""Pools: sorts of work, each with queues and processes of its own; and the roles a process can have."""

from dataclasses import dataclass

from lemline_site.config import Config


@dataclass(frozen=True)
class Pool:
    """One sort of work."""

    name: str
    threads: int
    """Messages that a worker process handles at the same time. A message holds up to `max_batch` activities, and
    asynchronous ones wait together on one event loop."""

    max_size: int
    """Activities at the same time, per process."""


THREADS = {"http": 64, "compute": 8, "io": 32, "events": 64, "maintenance": 2}
"""Messages at the same time, unless the pool is smaller. A message may hold one slow activity only: there must be room
for others. Few where work holds the interpreter."""

SHARES = {"http": 16}
"""Activities that travel in one message at least, if so many are ready, although another process is idle. What waits
on an event loop loses nothing by company, and a message costs as much as thirty of its rows."""

ROLES = ("http", "compute", "io", "events", "maintenance")
"""What a worker process can be started for. `events` offers received events and sends told ones, `maintenance`
keeps time and sweeps."""

ACTIVITY_POOLS = ("http", "compute", "io")


def pools(config: Config) -> dict[str, Pool]:
    """Return the pools by name."""
    return {name: _pool(name, _size(config, name)) for name in THREADS}


def _size(config: Config, name: str) -> int:
    if name == "events":
        return config.events.consumer_count
    size: int = getattr(config.execution.pools, name).max_size
    return size


def _pool(name: str, max_size: int) -> Pool:
    return Pool(name, min(THREADS[name], max_size), max_size)
