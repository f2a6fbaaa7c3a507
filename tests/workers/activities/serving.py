"""HTTP services on this machine that answer as a test wants."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str] | list[tuple[str, str]], bytes]


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    target: str
    headers: Message
    body: bytes
    peer: tuple[str, int]


@dataclass
class Service:
    """A service and what it was asked."""

    answer: Callable[[Seen], Reply]
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    @property
    def last(self) -> Seen:
        return self.seen[-1]


def reply(body: object = None, status: int = 200, **headers: str) -> Reply:
    """Return an answer; what is neither bytes nor text is JSON."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, bytes):
        return status, given, body
    if isinstance(body, str):
        return status, {"Content-Type": "text/plain; charset=utf-8", **given}, body.encode()
    if body is None:
        return status, given, b""
    return status, {"Content-Type": "application/json", **given}, json.dumps(body).encode()


@contextmanager
def serving(answer: Callable[[Seen], Reply] | Reply, host: str = "127.0.0.1") -> Iterator[Service]:
    """Serve until the block ends. A plain answer is given to whoever asks."""
    service = Service(answer if callable(answer) else lambda _: answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, self.headers, body, self.client_address[:2])
            service.seen.append(seen)
            status, headers, content = service.answer(seen)
            self.send_response(status)
            for name, value in headers.items() if isinstance(headers, dict) else headers:
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that went away are no news."""

    with Server((host, 0), Handler) as server, _running(server):
        name = f"[{host}]" if ":" in host else host
        service.url = f"http://{name}:{server.server_address[1]}"
        yield service


@contextmanager
def connected(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections by hand; the URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server, _running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def read_request(connection: socket.socket) -> bytes:
    """Return a whole request, its body included; nothing when the other side has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
