"""Lemline: worker processes as `make up` starts them, two for the pool that works; instances started from here.

Every answer is checked, and so is the promise: each step recorded once, none of an instance in the
transaction of another, nothing left over.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import redis

from bench.meter import Meter
from bench.processes import running, wait_until
from bench.workloads import STEPS, WORKLOADS, result_of

NAME = "bench_lemline"
PROCESSES = 2
"""Of the pool that works: one per core."""

STARTERS = 64
WARM_UP = 50

_HEAD = "document: {dsl: 1.0.3, namespace: bench, name: %s, version: 1.0.0}\ndo:\n"
_TASKS = {
    "W1": "  - step%d: {call: bench/step, with: {wf: '${ $workflow.input.wf }', k: %d}}\n",
    "W1p": "  - step%d: {set: {wf: '${ .wf }', step: %d, ok: true}}\n",
    "W4": "  - step%d: {call: http, with: {method: get, endpoint: '${ $workflow.input.url }'}}  # %d\n",
}
_POOLS = {"W1": "compute", "W1p": "compute", "W4": "http"}


def main(name: str, count: int) -> int:
    """Measure one workload and print its row."""
    environment = _environment()
    os.environ.update(environment)
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
    import django

    django.setup()
    with _workers(["maintenance", *[_POOLS[name]] * PROCESSES]) as pids:
        row = _measure(name, count, pids)
    print(json.dumps({"peer": "lemline", "workload": name, "variant": "default", **row}))
    return 0


def _environment() -> dict[str, str]:
    """Return the environment of a new, empty installation."""
    server, broker = os.environ["BENCH_DATABASE_URL"], os.environ["BENCH_REDIS_URL"]
    connection = psycopg2.connect(server)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {NAME}")
    for number in (2, 3):
        with redis.Redis.from_url(f"{broker}/{number}") as client:
            client.flushdb()
    return {
        "DJANGO_SETTINGS_MODULE": "lemline_site.settings",
        "DATABASE_URL": urlsplit(server)._replace(path=f"/{NAME}").geturl(),
        "BROKER_URL": f"{broker}/2",
        "CACHE_URL": f"{broker}/3",
        "LEMLINE_ACTIVITIES": "bench.steps",
        "LEMLINE_HTTP_PRIVATE_ADDRESSES": "loopback",
        "LEMLINE_SECRET_KEY": "a key for benchmarks only",
        "LEMLINE_LOG_LEVEL": "WARNING",
        "LEMLINE_CONFIG": os.devnull,
    }


def _workers(roles: Sequence[str]) -> contextlib.AbstractContextManager[list[int]]:
    """Run worker processes; each has been heard of before the block begins."""
    from workflows.models import Node

    command = (sys.executable, "manage.py", "lemline", "worker", "--roles")
    return running([(*command, role) for role in roles], lambda: Node.objects.count() == len(roles))


def _measure(name: str, count: int, pids: Sequence[int]) -> dict[str, Any]:
    from workflows.runtime import operations, process

    actor = operations.Actor(name="bench", door="bench", is_admin=True)
    text = _HEAD % name.lower() + "".join(_TASKS[name] % (step, step) for step in range(STEPS))
    operations.register(text.encode(), actor=actor)
    url = os.environ["BENCH_STUB_URL"]

    def start(number: int) -> None:
        given = json.dumps({"wf": number, "url": url}).encode()
        request = operations.StartRequest(namespace="bench", name=name.lower(), input=given)
        operations.start(request, actor=actor)

    groups = {
        "worker": pids,
        "database": [int(os.environ["BENCH_DATABASE_PID"])],
        "broker": [int(os.environ["BENCH_REDIS_PID"])],
    }
    with ThreadPoolExecutor(STARTERS) as starters:
        list(starters.map(start, range(-WARM_UP, 0)))
        wait_until(lambda: _ended() == WARM_UP, "the warm-up did not end")
        with Meter(groups) as meter:
            list(starters.map(start, range(count)))
            started_s = time.monotonic() - meter.started_at
            wait_until(lambda: _ended() == WARM_UP + count, "not every instance ended")
    process.end()
    checks = _check(name, WARM_UP + count)
    return {"start_s": round(started_s, 3), **meter.figures(count, count * WORKLOADS[name].steps), "checks": checks}


def _ended() -> int:
    [(count,)] = _rows("SELECT count(*) FROM workflows_instance WHERE ended_at IS NOT NULL")
    return int(count)


def _check(name: str, count: int) -> str:
    """Return `ok`, or raise: a run with wrong results has no figure."""
    from workflows.models import Checkpoint, Instance

    wrong = Instance.objects.exclude(status="completed").count()
    assert not wrong, f"{wrong} instances did not complete"
    outputs = [(json.loads(bytes(given))["wf"], json.loads(bytes(output))) for given, output in _outputs()]
    assert len(outputs) == count
    assert all(output == _expected(name, wf) for wf, output in outputs), "an output is wrong"
    recorded = _rows(
        "SELECT count(*), count(DISTINCT position), count(DISTINCT xmin::text) FROM workflows_history"
        " WHERE NOT is_phase GROUP BY instance"
    )
    assert len(recorded) == count
    assert all(rows == STEPS and positions == STEPS for rows, positions, _ in recorded), "a step is not recorded once"
    pure = name == "W1p"
    assert pure or all(commits == STEPS for _, _, commits in recorded), "steps of an instance share a transaction"
    assert not Checkpoint.objects.exists(), "a checkpoint is left over"
    return "ok"


def _expected(name: str, wf: int) -> dict[str, object]:
    match name:
        case "W1":
            return result_of(wf, STEPS - 1)
        case "W1p":
            return {"wf": wf, "step": STEPS - 1, "ok": True}
        case _:
            return {"ok": True, "value": 42}


def _outputs() -> list[Any]:
    return _rows("SELECT input, output FROM workflows_instance")


def _rows(sql: str) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
