"""Restate: its server in its default configuration, the Python SDK behind two processes of granian.

Runs in an environment of its own (`bench.install`), where neither Lemline nor Celery is.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.meter import Meter
from bench.workloads import STEPS, WORKLOADS

_HANDLERS = {"W1": "seq", "W4": "http"}
PROCESSES = 2
WARM_UP = 50
STARTERS, WAITERS = 64, 256
INGRESS, ADMIN, SERVICE = 18080, 19070, 19080
"""Ports."""


def main(name: str, count: int) -> int:
    """Measure one workload and print its row."""
    with _service() as worker, _server() as server:
        _ask("POST", f"http://127.0.0.1:{ADMIN}/deployments", {"uri": f"http://127.0.0.1:{SERVICE}"})
        row = asyncio.run(_measure(name, count, worker, server))
    print(json.dumps({"peer": "restate", "workload": name, "variant": "granian x 2", **row}))
    return 0


async def _measure(name: str, count: int, worker: int, server: int) -> dict[str, Any]:
    client = Client(INGRESS)
    path = f"/Bench/{_HANDLERS[name]}"
    ids: list[str] = []
    results: list[Any] = []

    async def start(number: int) -> None:
        ids.append((await client.ask("POST", f"{path}/send", number))["invocationId"])

    async def attach(invocation: str) -> None:
        results.append(await client.ask("GET", f"/restate/invocation/{invocation}/attach"))

    await _each(range(-WARM_UP, 0), lambda number: client.ask("POST", path, number), STARTERS)
    with Meter({"worker": [worker], "server": [server]}) as meter:
        await _each(range(count), start, STARTERS)
        started_s = time.monotonic() - meter.started_at
        await _each(list(ids), attach, WAITERS)
    assert sorted(result["wf"] for result in results) == list(range(count)), "a result is missing"
    assert all(result["step"] == STEPS - 1 for result in results), "an invocation did not end"
    figures = meter.figures(count, count * WORKLOADS[name].steps)
    return {"start_s": round(started_s, 3), **figures, "checks": "ok"}


async def _each(items: Iterable[Any], do: Callable[[Any], Awaitable[Any]], width: int) -> None:
    """Do it for each, so many at the same time."""
    waiting = iter(items)

    async def one() -> None:
        for item in waiting:
            await do(item)

    await asyncio.gather(*(one() for _ in range(width)))


class Client:
    """HTTP over connections that are kept, with as little overhead as possible."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON of its answer."""
        async with self._connection() as (reader, writer):
            data = b"" if body is None else json.dumps(body).encode()
            head = f"{method} {path} HTTP/1.1\r\nHost: restate\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            text = await self._body(reader, answer)
        status = int(answer.split(None, 2)[1])
        if status not in (200, 202):
            raise RuntimeError(f"{method} {path}: {status} {text!r}")
        return json.loads(text)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        pair = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        yield pair
        self._idle.append(pair)

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"content-length:" in head:
            return await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)


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
    given = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        # Processes of its own that outlive it would keep its port, and a share of the machine.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
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
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
