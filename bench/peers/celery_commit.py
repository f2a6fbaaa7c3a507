"""Durable Celery as it is written by hand: each step is committed to PostgreSQL, then publishes the next; late acks.

A crash between commit and publish loses a workflow all the same: nothing here looks for those.
"""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg2

os.environ["BENCH_CELERY"] = "commit"  # before the tasks are imported, here and in the workers

from bench.driver import Measure, Row, drive, latencies
from bench.meter import Meter
from bench.peers import celery_app, celery_workers
from bench.processes import wait_until
from bench.workloads import NAP_SECONDS, STEPS, Case, Workload

WARM_UP = 20

_TABLES = """
CREATE TABLE wf (id bigint PRIMARY KEY, step int NOT NULL DEFAULT -1, done bool NOT NULL DEFAULT false);
CREATE TABLE wf_step (wf bigint, step int, result jsonb, at timestamptz DEFAULT now(), PRIMARY KEY (wf, step));
"""


@contextlib.contextmanager
def _opened(workload: Workload) -> Iterator[Measure]:
    _make_database()
    measure = {"W2": _one_at_a_time, "W3": _fan_out, "W5": _naps}.get(workload.name, _sequences)
    with celery_workers.started(workload.name) as pids:
        processes = {
            "worker": pids,
            "database": [int(os.environ["BENCH_DATABASE_PID"])],
            "broker": [int(os.environ["BENCH_REDIS_PID"])],
        }
        yield functools.partial(_fresh, functools.partial(measure, workload.name, processes), workload.name)


def _fresh(measure: Measure, workload: str, case: Case, count: int) -> Iterator[Row]:
    _ask("TRUNCATE wf, wf_step")
    for row in measure(case, count):
        yield {"setup": f"commit per step, {celery_workers.setup(workload)}", **row}


def _sequences(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    asks = workload == "W4"
    for number in range(-WARM_UP, 0):
        _start(number, asks=asks)
    _await(WARM_UP)
    with Meter(processes) as meter:
        for number in range(count):
            _start(number, asks=asks)
        started_s = time.monotonic() - meter.started_at
        _await(WARM_UP + count)
    _check_sequences(WARM_UP + count)
    yield {"start_s": round(started_s, 3), **meter.figures(count, count * STEPS)}


def _one_at_a_time(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    seconds = []
    with Meter(processes) as meter:
        for number in range(count):
            began = time.perf_counter()
            _start(number, asks=False)
            while not _ask("SELECT done FROM wf WHERE id = %s", (number,))[0][0]:
                time.sleep(0.001)
            seconds.append(time.perf_counter() - began)
    _check_sequences(count)
    yield {**latencies(seconds), **meter.figures(count, count * STEPS)}


def _fan_out(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    items = case.options["items"]
    with Meter(processes) as meter:
        _ask("INSERT INTO wf (id, step) VALUES (0, 0)")
        with celery_app.app.producer_or_acquire() as producer:
            for k in range(items):
                celery_app.commit_item.apply_async((0, k, items), producer=producer)
        _await(1)
    [(recorded, commits)] = _ask("SELECT count(*), count(DISTINCT xmin::text) FROM wf_step")
    assert recorded == commits == items, "an item is not recorded once"
    yield meter.figures(count, items)


def _naps(workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Iterator[Row]:
    """The row is durable; the countdown waits in the memory of a worker."""
    celery_app.late.clear()
    with Meter(processes) as meter:
        with celery_app.app.producer_or_acquire() as producer:
            for number in range(count):
                _ask("INSERT INTO wf (id) VALUES (%s)", (number,))
                due = time.time() + NAP_SECONDS
                celery_app.commit_wake.apply_async((number, due), countdown=NAP_SECONDS, producer=producer)
        started_s = time.monotonic() - meter.started_at
        wait_until(lambda: celery_app.late.count() >= count, "not every countdown ended")
    lateness = celery_app.late.read()
    assert len(lateness) == _ask("SELECT count(*) FROM wf WHERE done")[0][0] == count, "a countdown is missing"
    yield {"start_s": round(started_s, 3), **latencies(lateness), **meter.figures(count, count)}


def _start(number: int, *, asks: bool) -> None:
    _ask("INSERT INTO wf (id) VALUES (%s)", (number,))
    celery_app.commit_step.apply_async((number, 0, asks))


def _await(count: int) -> None:
    wait_until(lambda: _ask("SELECT count(*) >= %s FROM wf WHERE done", (count,))[0][0], "not every workflow ended")


def _check_sequences(count: int) -> None:
    recorded = _ask("SELECT count(*), count(DISTINCT xmin::text) FROM wf_step GROUP BY wf")
    assert len(recorded) == count, "a workflow has no steps"
    assert all(steps == commits == STEPS for steps, commits in recorded), "a step is not recorded once"


def _make_database() -> None:
    connection = psycopg2.connect(os.environ["BENCH_DATABASE_URL"])
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {celery_app.DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {celery_app.DATABASE}")
    _ask(_TABLES)


def _ask(sql: str, values: tuple[object, ...] = ()) -> list[Any]:
    connection = celery_app.connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []


if __name__ == "__main__":
    sys.exit(drive("celery-commit", _opened, sys.argv[1:]))
