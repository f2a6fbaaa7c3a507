"""An installation for the length of a run: tables, queues, worker processes, and threads that start instances."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import redis

from bench.peers.lemline import database
from bench.processes import running, wait_until

STARTERS = 64


@dataclass(frozen=True, kw_only=True)
class Site:
    """What measurements use."""

    processes: Mapping[str, Sequence[int]]
    """Ids by what they are, as `Meter` takes them."""

    starters: ThreadPoolExecutor


@contextlib.contextmanager
def opened(roles: Sequence[str]) -> Iterator[Site]:
    """Run worker processes of these roles beside an installation of their own."""
    os.environ.update(_environment())
    import django

    django.setup()
    from workflows.runtime import process

    with ThreadPoolExecutor(STARTERS) as starters, _workers(roles) as pids:
        processes = {
            "worker": pids,
            "database": [int(os.environ["BENCH_DATABASE_PID"])],
            "broker": [int(os.environ["BENCH_REDIS_PID"])],
        }
        try:
            yield Site(processes=processes, starters=starters)
        finally:
            process.end()


def _environment() -> dict[str, str]:
    broker = os.environ["BENCH_REDIS_URL"]
    for number in (2, 3):
        with redis.Redis.from_url(f"{broker}/{number}") as client:
            client.flushdb()
    settings = {
        "DJANGO_SETTINGS_MODULE": "lemline_site.settings",
        "BROKER_URL": f"{broker}/2",
        "CACHE_URL": f"{broker}/3",
        "LEMLINE_ACTIVITIES": "bench.steps",
        "LEMLINE_HTTP_PRIVATE_ADDRESSES": "loopback",
        "LEMLINE_SECRET_KEY": "a key for benchmarks only",
        "LEMLINE_LOG_LEVEL": "WARNING",
        "LEMLINE_CONFIG": os.devnull,
    }
    os.environ.update(settings)
    name = os.environ.get("BENCH_KEPT_DATABASE")
    return {**settings, "DATABASE_URL": database.kept(name) if name else database.new()}


def _workers(roles: Sequence[str]) -> contextlib.AbstractContextManager[list[int]]:
    """Run worker processes; each has been heard of before the block begins."""
    from workflows.models import Node

    Node.objects.all().delete()
    command = (sys.executable, "manage.py", "lemline", "worker", "--roles")
    return running([(*command, role) for role in roles], lambda: Node.objects.count() == len(roles))


def wait_for(condition: str, values: object, complaint: str) -> None:
    """Return once a query's first value is true."""
    wait_until(lambda: bool(rows(condition, values)[0][0]), complaint)


def rows(sql: str, values: object = None) -> list[tuple[object, ...]]:
    """Return what the database answers."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
