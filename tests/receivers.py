"""A place that takes CloudEvents over HTTP, as a test wants it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from workflows.dsl.jsontext import decode


@dataclass(frozen=True)
class Got:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """The event of a structured message."""
        return decode(self.body)


def taking(_: Got) -> int:
    return 204


@dataclass
class Receiver:
    """Notes what it gets, and answers what the test says: a status, with headers or without."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    """What it answered with 2xx."""

    refused: list[Got] = field(default_factory=list)
    answer: Callable[[Got], int | tuple[int, Mapping[str, str]]] = taking

    def numbers(self, instance: object = None) -> list[int]:
        """What `told` put into the events, in the order in which they were taken."""
        return [got.event["data"] for got in self.got if instance in (None, got.event.get("instance"))]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run one on a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            answer = receiver.answer(got)
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            (receiver.got if 200 <= status < 300 else receiver.refused).append(got)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/events"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
