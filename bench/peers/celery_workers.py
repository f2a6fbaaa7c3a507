"""Worker processes of the Celery peers, each workload with the pool that served it best."""

import contextlib
import os
import sys
from collections.abc import Iterator

import redis

from bench.processes import running

PROCESSES = 2

_SOLO, _THREADS = ("--pool", "solo"), ("--pool", "threads", "--concurrency", "16")
_POOLS = {"W4": _THREADS, "W5": ("--pool", "threads", "--concurrency", "8")}


def setup(workload: str) -> str:
    """Return how the workers are set up, for people."""
    return f"{_POOLS.get(workload, _SOLO)[1]} x {PROCESSES}"


@contextlib.contextmanager
def started(workload: str) -> Iterator[list[int]]:
    """Run them on empty queues; their ids."""
    from bench.peers import celery_app

    for url in (celery_app.BROKER_URL, celery_app.RESULTS_URL):
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    celery_app.late.clear()
    quiet = ("--loglevel", "error", "--without-gossip", "--without-mingle", "--without-heartbeat")
    command = (
        *(sys.executable, "-m", "celery", "--quiet", "--app", "bench.peers.celery_app", "worker"),
        *quiet,
        *_POOLS.get(workload, _SOLO),
    )
    with running(
        [(*command, "--hostname", f"bench{number}.{os.getpid()}@bench") for number in range(PROCESSES)],
        lambda: len(celery_app.app.control.ping(timeout=0.5) or []) == PROCESSES,
        # It warns of running as root because pickled messages could be code; these are JSON.
        {"PYTHONWARNINGS": "ignore::UserWarning"},
    ) as pids:
        yield pids
