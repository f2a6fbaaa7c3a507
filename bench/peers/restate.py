"""Restate: its server in its default configuration, the Python SDK behind two processes of granian.

Runs in an environment of its own (`bench.install`), where neither Lemline nor Celery is.
"""

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.client import Client, each
from bench.driver import Measure, Row, drive, latencies
from bench.marks import Marks
from bench.meter import Meter, tree
from bench.processes import free_port, wait_until
from bench.workloads import STEPS, Case, Workload

PROCESSES = 2
WARM_UP = 50
STARTERS, WAITERS = 64, 256
INGRESS, ADMIN, SERVICE = free_port(), free_port(), free_port()
"""Ports."""

_Processes = dict[str, list[int]]


@contextlib.contextmanager
def _opened(workload: Workload) -> Iterator[Measure]:
    measure = {"W2": _one_at_a_time, "W3": _fan_out, "W5": _naps}.get(workload.name, _sequences)
    with _service() as service, _server() as server:
        _ask("POST", f"http://127.0.0.1:{ADMIN}/deployments", {"uri": f"http://127.0.0.1:{SERVICE}"})
        yield functools.partial(_run, measure, workload.name, {"worker": [service], "server": [server]})


def _run(measure: Any, workload: str, processes: _Processes, case: Case, count: int) -> Iterator[Row]:
    row = asyncio.run(measure(Client(INGRESS), workload, processes, case, count))
    yield {"setup": f"granian x {PROCESSES}", **row}


async def _sequences(client: Client, workload: str, processes: _Processes, case: Case, count: int) -> Row:
    path = "/Bench/http" if workload == "W4" else "/Bench/seq"
    ids: list[str] = []
    results: list[Any] = []

    async def start(number: int) -> None:
        ids.append((await client.ask("POST", f"{path}/send", number))["invocationId"])

    async def attach(invocation: str) -> None:
        results.append(await client.ask("GET", f"/restate/invocation/{invocation}/attach"))

    await each(range(-WARM_UP, 0), lambda number: client.ask("POST", path, number), STARTERS)
    with Meter(processes) as meter:
        await each(range(count), start, STARTERS)
        started_s = time.monotonic() - meter.started_at
        await each(list(ids), attach, WAITERS)
    assert sorted(result["wf"] for result in results) == list(range(count)), "a result is missing"
    assert all(result["step"] == STEPS - 1 for result in results), "an invocation did not end"
    return {"start_s": round(started_s, 3), **meter.figures(count, count * STEPS)}


async def _one_at_a_time(client: Client, workload: str, processes: _Processes, case: Case, count: int) -> Row:
    seconds = []
    for number in range(-5, 0):
        await client.ask("POST", "/Bench/seq", number)
    with Meter(processes) as meter:
        for number in range(count):
            began = time.perf_counter()
            result = await client.ask("POST", "/Bench/seq", number)
            seconds.append(time.perf_counter() - began)
            assert (result["wf"], result["step"]) == (number, STEPS - 1), "a result is wrong"
    return {**latencies(seconds), **meter.figures(count, count * STEPS)}


async def _fan_out(client: Client, workload: str, processes: _Processes, case: Case, count: int) -> Row:
    items = case.options["items"]
    await client.ask("POST", "/Bench/fan", 100)
    with Meter(processes) as meter:
        joined = await client.ask("POST", "/Bench/fan", items)
    assert joined == list(range(items)), "an item is missing"
    return meter.figures(count, items)


async def _naps(client: Client, workload: str, processes: _Processes, case: Case, count: int) -> Row:
    late = Marks(Path(os.environ["BENCH_FOLDER"]) / "restate-late")
    late.clear()

    async def start(number: int) -> None:
        await client.ask("POST", "/Bench/nap/send", number)

    with Meter(processes) as meter:
        await each(range(count), start, STARTERS)
        started_s = time.monotonic() - meter.started_at
        wait_until(lambda: late.count() >= count, "not every sleep ended")
    lateness = late.read()
    assert len(lateness) == count, "a sleep ended twice"
    assert min(lateness) >= 0, "a sleep ended early"
    return {"start_s": round(started_s, 3), **latencies(lateness), **meter.figures(count, count)}


@contextlib.contextmanager
def _service() -> Iterator[int]:
    """Run the service; its process."""
    granian = str(Path(sys.executable).parent / "granian")
    command = [granian, "--interface", "asgi", "--host", "127.0.0.1", "--port", str(SERVICE), "--http", "2"]
    with _running(
        [*command, "--workers", str(PROCESSES), "--log-level", "warning", "bench.peers.restate_app:app"]
    ) as pid:
        yield pid


@contextlib.contextmanager
def _server() -> Iterator[int]:
    """Run the server on an empty folder; its process."""
    folder = tempfile.mkdtemp(prefix="bench-restate-")
    environment = {
        "RESTATE_INGRESS__BIND_PORT": str(INGRESS),
        "RESTATE_ADMIN__BIND_PORT": str(ADMIN),
        "RESTATE_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "RUST_LOG": "off",
    }
    command = [os.environ["RESTATE_SERVER"], "--base-dir", folder, "--bind-ip", "127.0.0.1", "--listen-mode", "tcp"]
    try:
        with _running([*command, "--no-logo"], environment) as pid:
            _await_answer(f"http://127.0.0.1:{ADMIN}/health")
            yield pid
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[int]:
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        family = tree([process.pid])
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        # Processes of its own that outlive it would keep its port, and a share of the machine.
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            _ask("GET", url)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _ask(method: str, url: str, body: Any = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    sys.exit(drive("restate", _opened, sys.argv[1:]))
