"""A service that workflows call: it records who called, and can keep a caller waiting."""

import json
import threading
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import wait_until

HELD_SECONDS = 60.0
"""No request is kept longer, whatever a test forgets."""


REFUSED = "/refused"
"""Paths with this ending are answered 503 to whoever brings the key of the first call, however often it comes."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


@dataclass(frozen=True)
class Call:
    """One request, recorded when it arrived."""

    path: str
    key: str
    """Its `Idempotency-Key`; empty where the caller has none to give."""


class Stub:
    """Answers every POST with the path it was sent to."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._gates: dict[str, threading.Event] = {}
        self._delays: dict[str, float] = {}
        self._first_keys: dict[str, str] = {}
        self._failures: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("StubHandler", (_Handler,), {"stub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.release(*self._gates)
        self._server.shutdown()
        self._server.server_close()

    def hold(self, *paths: str) -> None:
        """Keep the callers of these paths waiting."""
        for path in paths:
            self._gates[path] = threading.Event()

    def release(self, *paths: str) -> None:
        """Answer them, and from now on at once."""
        for path in paths:
            self._gates[path].set()

    def delay(self, path: str, seconds: float) -> None:
        """Answer the callers of a path only after a while."""
        self._delays[path] = seconds

    def fail(self, path: str, times: int = 1) -> None:
        """Answer the next callers of a path with 503."""
        self._failures[path] = times

    def count(self, path: str) -> int:
        return len(self.keys(path))

    def keys(self, path: str) -> list[str]:
        """Return the idempotency keys of all calls of a path."""
        return [call.key for call in list(self.calls) if call.path == path]

    def counts(self, prefix: str) -> dict[str, int]:
        """Return how often each path below a prefix was called."""
        paths = sorted({call.path for call in list(self.calls) if call.path.startswith(prefix)})
        return {path: self.count(path) for path in paths}

    def wait_for(self, *paths: str, count: int = 1) -> None:
        """Return once each of these was called so often."""
        wait_until(lambda: not [path for path in paths if self.count(path) < count], lambda: self.counts("/"))

    def take(self, call: Call) -> int:
        """Record a call; returns the status to answer it with, when its time has come."""
        with self._lock:
            self.calls.append(call)
            if call.path.endswith(REFUSED) and self._first_keys.setdefault(call.path, call.key) == call.key:
                return 503
            if self._failures[call.path]:
                self._failures[call.path] -= 1
                return 503
        if call.path in self._delays:
            threading.Event().wait(self._delays[call.path])
        gate = self._gates.get(call.path)
        if gate is not None:
            gate.wait(HELD_SECONDS)
        return 200


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        status = self.stub.take(Call(self.path, self.headers["Idempotency-Key"] or ""))
        self._answer(status, {"visited": self.path})

    def do_GET(self) -> None:
        """The OpenAPI document of it all."""
        part = {"name": "part", "in": "path", "required": True, "schema": {"type": "string"}}
        visit = {"operationId": "visit", "parameters": [part], "responses": {"200": {"description": "visited"}}}
        self._answer(
            200,
            {
                "openapi": "3.0.0",
                "info": {"title": "stub", "version": "1"},
                "servers": [{"url": self.stub.url}],
                "paths": {"/openapi/{part}": {"post": visit}},
            },
        )

    def _answer(self, status: int, value: Any) -> None:
        text = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            # The caller was killed meanwhile: what these tests are about.
            self.close_connection = True

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """The record tells."""
