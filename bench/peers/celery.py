"""The raw Celery chain: what a Celery shop has today. It is not durable: a lost message is a lost workflow.

Its best pool for each workload: two `solo` processes, or threads where steps wait.
"""

import contextlib
import json
import os
import sys
import time

import redis
from celery import chain

from bench.meter import Meter
from bench.peers import celery_app
from bench.processes import running, wait_until
from bench.workloads import STEPS, WORKLOADS

_POOLS = {"W1": ("--pool", "solo"), "W4": ("--pool", "threads", "--concurrency", "32")}
PROCESSES = 2
WARM_UP = 20


def main(name: str, count: int) -> int:
    """Measure one workload and print its row."""
    for number in (4, 5):
        with redis.Redis.from_url(f"{os.environ['BENCH_REDIS_URL']}/{number}") as client:
            client.flushdb()
    with _workers(name) as pids:
        _await([_start(name, -number - 1) for number in range(WARM_UP)])
        with Meter({"worker": pids, "broker": [int(os.environ["BENCH_REDIS_PID"])]}) as meter:
            ids = [_start(name, number) for number in range(count)]
            started_s = time.monotonic() - meter.started_at
            _await(ids)
    checks = _check(ids)
    row = {"start_s": round(started_s, 3), **meter.figures(count, count * WORKLOADS[name].steps), "checks": checks}
    print(json.dumps({"peer": "celery", "workload": name, "variant": "chain, " + " ".join(_POOLS[name][1:2]), **row}))
    return 0


def _workers(name: str) -> contextlib.AbstractContextManager[list[int]]:
    app = ("--quiet", "--app", "bench.peers.celery_app")
    quiet = ("--loglevel", "error", "--without-gossip", "--without-mingle", "--without-heartbeat")
    command = (sys.executable, "-m", "celery", *app, "worker", *quiet, *_POOLS[name])
    return running(
        [(*command, "--hostname", f"bench{number}@bench") for number in range(PROCESSES)],
        lambda: len(celery_app.app.control.ping(timeout=0.5) or []) == PROCESSES,
    )


def _start(name: str, number: int) -> str:
    task = celery_app.get if name == "W4" else celery_app.step
    steps = [task.s(None, number, 0), *(task.s(number, k) for k in range(1, STEPS))]
    return str(chain(*steps).apply_async().id)


def _await(ids: list[str]) -> None:
    keys = [f"celery-task-meta-{task}" for task in ids]
    with redis.Redis.from_url(f"{os.environ['BENCH_REDIS_URL']}/5") as client:
        wait_until(lambda: client.exists(*keys) == len(keys), "not every chain ended")


def _check(ids: list[str]) -> str:
    with redis.Redis.from_url(f"{os.environ['BENCH_REDIS_URL']}/5") as client:
        stored = client.mget([f"celery-task-meta-{task}" for task in ids])
    results = [json.loads(text)["result"] for text in stored if text]
    assert sorted(result["wf"] for result in results) == list(range(len(ids))), "a result is missing"
    assert all(result["step"] == STEPS - 1 for result in results), "a chain did not end"
    return "ok"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
