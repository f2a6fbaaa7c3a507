"""The raw Celery chain: what a Celery shop has today. It is not durable: a lost message is a lost workflow."""

import contextlib
import functools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis
from celery import chain, chord

from bench.driver import Measure, Row, drive, latencies
from bench.meter import Meter
from bench.peers import celery_app, celery_workers
from bench.processes import wait_until
from bench.workloads import NAP_SECONDS, STEPS, Case, Workload

WARM_UP = 20


@contextlib.contextmanager
def _opened(workload: Workload) -> Iterator[Measure]:
    measure = {"W2": _one_at_a_time, "W3": _fan_out, "W5": _naps}.get(workload.name, _sequences)
    with celery_workers.started(workload.name) as pids:
        processes = {"worker": pids, "broker": [int(os.environ["BENCH_REDIS_PID"])]}
        yield functools.partial(_with_setup, functools.partial(measure, workload.name, processes), workload.name)


def _with_setup(measure: Measure, workload: str, case: Case, count: int) -> Iterator[Row]:
    for row in measure(case, count):
        yield {"setup": f"chain, {celery_workers.setup(workload)}", **row}


def _sequences(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    task = celery_app.get if workload == "W4" else celery_app.step
    _await([_chain(task, -number - 1).apply_async().id for number in range(WARM_UP)])
    with Meter(processes) as meter:
        ids = [_chain(task, number).apply_async().id for number in range(count)]
        started_s = time.monotonic() - meter.started_at
        _await(ids)
    results = _results(ids)
    assert sorted(result["wf"] for result in results) == list(range(count)), "a result is missing"
    assert all(result["step"] == STEPS - 1 for result in results), "a chain did not end"
    yield {"start_s": round(started_s, 3), **meter.figures(count, count * STEPS)}


def _one_at_a_time(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    seconds = []
    _chain(celery_app.step, -1).apply_async().get(timeout=60)
    with Meter(processes) as meter:
        for number in range(count):
            began = time.perf_counter()
            result = _chain(celery_app.step, number).apply_async().get(timeout=60)
            seconds.append(time.perf_counter() - began)
            assert (result["wf"], result["step"]) == (number, STEPS - 1), "a result is wrong"
    yield {**latencies(seconds), **meter.figures(count, count * STEPS)}


def _fan_out(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    items = case.options["items"]
    with Meter(processes) as meter:
        result = chord([celery_app.step.s(None, 0, k) for k in range(items)], celery_app.join.s()).apply_async()
        joined = result.get(timeout=300)
    assert sorted(joined) == list(range(items)), "an item is missing"
    yield meter.figures(count, items)


def _naps(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    """Countdowns, which wait in the memory of a worker."""
    celery_app.late.clear()
    with Meter(processes) as meter:
        with celery_app.app.producer_or_acquire() as producer:
            for _ in range(count):
                due = time.time() + NAP_SECONDS
                celery_app.wake.apply_async((due,), countdown=NAP_SECONDS, producer=producer)
        started_s = time.monotonic() - meter.started_at
        wait_until(lambda: celery_app.late.count() >= count, "not every countdown ended")
    lateness = celery_app.late.read()
    assert len(lateness) == count, "a countdown ended twice"
    yield {"start_s": round(started_s, 3), **latencies(lateness), **meter.figures(count, count)}


def _chain(task: Any, number: int) -> Any:
    return chain(task.s(None, number, 0), *(task.s(number, k) for k in range(1, STEPS)))


def _await(ids: Sequence[str]) -> None:
    keys = [f"celery-task-meta-{task}" for task in ids]
    with redis.Redis.from_url(celery_app.RESULTS_URL) as client:
        wait_until(lambda: client.exists(*keys) == len(keys), "not every chain ended")


def _results(ids: Sequence[str]) -> list[Any]:
    with redis.Redis.from_url(celery_app.RESULTS_URL) as client:
        stored = client.mget([f"celery-task-meta-{task}" for task in ids])
    return [json.loads(text)["result"] for text in stored if text]


if __name__ == "__main__":
    sys.exit(drive("celery", _opened, sys.argv[1:]))
