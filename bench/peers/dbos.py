"""DBOS: its queue, served by two worker processes, with PostgreSQL as its only service.

Runs in an environment of its own (`bench.install`).
"""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from dbos import DBOSClient

from bench.driver import Measure, Row, drive, latencies
from bench.meter import Meter
from bench.peers import dbos_app
from bench.processes import running, wait_until
from bench.workloads import STEPS, Case, Workload

PROCESSES = 2
WARM_UP = 20

_CONCURRENCY = {"W1": 24, "W4": 32}
"""Workflows at a time in each worker process, what served best; no limit elsewhere."""

_POLL_SECONDS = {"W2": 0.01}
"""How often the queue is looked at; elsewhere 0.1, where throughput was best."""


@contextlib.contextmanager
def _opened(workload: Workload) -> Iterator[Measure]:
    _make_database()
    measure = {"W2": _one_at_a_time, "W3": _fan_out, "W5": _naps}.get(workload.name, _sequences)
    with _workers(workload.name) as pids:
        processes = {"worker": pids, "database": [int(os.environ["BENCH_DATABASE_PID"])]}
        client = DBOSClient(system_database_url=dbos_app.URL)
        try:
            yield functools.partial(_run, measure, client, workload.name, processes)
        finally:
            client.destroy()


def _run(
    measure: Any, client: DBOSClient, workload: str, processes: dict[str, list[int]], case: Case, count: int
) -> Iterator[Row]:
    yield {"setup": f"queue x {PROCESSES}", **measure(client, workload, processes, case, count)}


@contextlib.contextmanager
def _workers(workload: str) -> Iterator[list[int]]:
    """Run the worker processes, the second once the first has made the tables."""
    environment = {
        "BENCH_DBOS_CONCURRENCY": str(_CONCURRENCY.get(workload, 0)),
        "BENCH_DBOS_POLL": str(_POLL_SECONDS.get(workload, 0.1)),
    }
    pids: list[int] = []
    with contextlib.ExitStack() as stack:
        for name in (f"worker{number}" for number in range(PROCESSES)):
            ready = Path(os.environ["BENCH_FOLDER"]) / f"dbos-{name}"
            ready.unlink(missing_ok=True)
            command = (sys.executable, "-m", "bench.peers.dbos_app", name)
            pids += stack.enter_context(running([command], ready.exists, environment))
        yield pids


def _sequences(client: DBOSClient, workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Row:
    name = "gets" if workload == "W4" else "seq"
    before = _ended()
    for number in range(-WARM_UP, 0):
        _start(client, name, number)
    wait_until(lambda: _ended() >= before + WARM_UP, "the warm-up did not end")
    with Meter(processes) as meter:
        for number in range(count):
            _start(client, name, number)
        started_s = time.monotonic() - meter.started_at
        wait_until(lambda: _ended() >= before + WARM_UP + count, "not every workflow ended")
    _check(name, STEPS)
    return {"start_s": round(started_s, 3), **meter.figures(count, count * STEPS)}


def _one_at_a_time(client: DBOSClient, workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Row:
    seconds = []
    for number in range(-3, 0):
        _start(client, "seq", number).get_result(polling_interval_sec=0.005)
    with Meter(processes) as meter:
        for number in range(count):
            began = time.perf_counter()
            result = _start(client, "seq", number).get_result(polling_interval_sec=0.005)
            seconds.append(time.perf_counter() - began)
            assert (result["wf"], result["step"]) == (number, STEPS - 1), "a result is wrong"
    _check("seq", STEPS)
    return {**latencies(seconds), **meter.figures(count, count * STEPS)}


def _fan_out(client: DBOSClient, workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Row:
    items = case.options["items"]
    with Meter(processes) as meter:
        joined = _start(client, "fan", items).get_result(polling_interval_sec=0.01)
    assert joined == list(range(items)), "an item is missing"
    _check("fan", items)
    return meter.figures(count, items)


def _naps(client: DBOSClient, workload: str, processes: dict[str, list[int]], case: Case, count: int) -> Row:
    dbos_app.late.clear()
    with Meter(processes) as meter:
        for number in range(count):
            _start(client, "nap", number)
        started_s = time.monotonic() - meter.started_at
        wait_until(lambda: dbos_app.late.count() >= count, "not every sleep ended")
    lateness = dbos_app.late.read()
    assert len(lateness) == count, "a sleep ended twice"
    assert min(lateness) >= 0, "a sleep ended early"
    return {"start_s": round(started_s, 3), **latencies(lateness), **meter.figures(count, count)}


def _start(client: DBOSClient, name: str, given: int) -> Any:
    return client.enqueue({"queue_name": dbos_app.QUEUE, "workflow_name": name, "app_version": "1"}, given)


def _ended() -> int:
    return int(_ask("SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'")[0][0])


def _check(name: str, steps: int) -> None:
    recorded = _ask(
        "SELECT count(o.function_id), count(DISTINCT o.function_id) FROM dbos.workflow_status w LEFT JOIN"
        f" dbos.operation_outputs o USING (workflow_uuid) WHERE w.name = '{name}' GROUP BY w.workflow_uuid, w.status"
    )
    assert recorded, "no workflow is recorded"
    assert all(outputs == places == steps for outputs, places in recorded), "a step is not recorded once"


@functools.cache
def _connection() -> Any:
    return psycopg.connect(dbos_app.URL, autocommit=True)


def _ask(sql: str) -> list[Any]:
    return list(_connection().execute(sql).fetchall())


def _make_database() -> None:
    with psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {dbos_app.DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {dbos_app.DATABASE}")


if __name__ == "__main__":
    sys.exit(drive("dbos", _opened, sys.argv[1:]))
