"""The raw Celery chain: what a Celery shop has today. It is not durable: a lost message is a lost workflow.

Its best pool for each workload: two `solo` processes, or threads where steps wait.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import redis
from celery import chain

from bench.meter import Meter
from bench.peers import celery_app
from bench.workloads import STEPS, WORKLOADS

_POOLS = {"W1": ("--pool", "solo"), "W4": ("--pool", "threads", "--concurrency", "32")}
PROCESSES = 2
WARM_UP = 20
DEADLINE_SECONDS = 300


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


@contextlib.contextmanager
def _workers(name: str) -> Iterator[list[int]]:
    command = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "--app",
        "bench.peers.celery_app",
        "worker",
        "--loglevel",
        "error",
    ]
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    processes = [
        subprocess.Popen([*command, "--hostname", f"bench{number}@bench", *quiet, *_POOLS[name]])
        for number in range(PROCESSES)
    ]
    try:
        deadline = time.monotonic() + 60
        while len(celery_app.app.control.ping(timeout=0.5) or []) < PROCESSES:
            if time.monotonic() > deadline:
                raise TimeoutError("the workers did not start")
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def _start(name: str, number: int) -> str:
    task = celery_app.get if name == "W4" else celery_app.step
    steps = [task.s(None, number, 0), *(task.s(number, k) for k in range(1, STEPS))]
    return str(chain(*steps).apply_async().id)


def _await(ids: list[str]) -> None:
    keys = [f"celery-task-meta-{task}" for task in ids]
    deadline = time.monotonic() + DEADLINE_SECONDS
    with redis.Redis.from_url(f"{os.environ['BENCH_REDIS_URL']}/5") as client:
        while client.exists(*keys) < len(keys):
            if time.monotonic() > deadline:
                raise TimeoutError("not every chain ended")
            time.sleep(0.01)


def _check(ids: list[str]) -> str:
    with redis.Redis.from_url(f"{os.environ['BENCH_REDIS_URL']}/5") as client:
        stored = client.mget([f"celery-task-meta-{task}" for task in ids])
    results = [json.loads(text)["result"] for text in stored if text]
    assert sorted(result["wf"] for result in results) == list(range(len(ids))), "a result is missing"
    assert all(result["step"] == STEPS - 1 for result in results), "a chain did not end"
    return "ok"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
