"""A small shop that misbehaves on demand: what the order workflow talks to.

Keeps everything in memory. `GET /ledger` lists what took effect, in order, so that one can see that
nothing happened twice and that everything was made good.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "let me in"


@dataclass(frozen=True, kw_only=True)
class Mischief:
    """How it misbehaves."""

    failing_charges: int = 0
    """The first so many charges are answered with 503."""

    hanging_charges: int = 0
    """The first so many take effect, but are answered only after five seconds."""

    declines: bool = False
    """Cards are declined with 402."""

    sold_out: str = ""
    """A sku that is out of stock."""

    loses_parcels: bool = False
    """Parcels cannot be booked: the connection is closed without an answer."""

    credit: int = 100_000
    """What customers are good for, in cents."""

    delay_seconds: float = 0.0
    """Every answer takes so long: time to kill something."""


@dataclass
class Shop:
    """Its state, and what each request does to it. Answers are a status and a JSON value."""

    mischief: Mischief = field(default_factory=Mischief)
    ledger: list[str] = field(default_factory=list)
    charges: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def customer(self, name: str) -> tuple[int, object]:
        """Say what a customer is good for."""
        return 200, {"name": name, "credit": self.mischief.credit}

    def reserve(self, body: dict[str, str]) -> tuple[int, object]:
        """Take an item off the shelf."""
        if body["sku"] == self.mischief.sold_out:
            return 409, {"error": "sold out"}
        name = f"{body['order']}-{body['sku']}"
        self.ledger.append(f"reserved {body['quantity']} {name}")
        return 201, {"id": name}

    def release(self, name: str) -> tuple[int, object]:
        """Put it back."""
        self.ledger.append(f"released {name}")
        return 204, None

    def charge(self, body: dict[str, str], key: str) -> tuple[int, object]:
        """Take money, once per key."""
        self.attempts += 1
        if self.mischief.declines:
            return 402, {"error": "declined"}
        if self.attempts <= self.mischief.failing_charges:
            return 503, {"error": "try again"}
        if key not in self.charges:
            self.charges[key] = f"charge-{len(self.charges) + 1}"
            self.ledger.append(f"charged {body['cents']} on {body['card']}")
        return 201, {"id": self.charges[key]}

    def refund(self, name: str) -> tuple[int, object]:
        """Give it back."""
        self.ledger.append(f"refunded {name}")
        return 204, None

    def parcel(self, body: dict[str, str]) -> tuple[int, object]:
        """Book a parcel."""
        if self.mischief.loses_parcels:
            return 0, None
        self.ledger.append(f"booked a parcel for {body['order']}")
        return 201, {"id": f"parcel-{body['order']}"}

    def message(self, body: dict[str, str]) -> tuple[int, object]:
        """Write to a customer."""
        self.ledger.append(f"wrote to {body['to']}: {body['text']}")
        return 202, None


class Handler(BaseHTTPRequestHandler):
    """Requests to the shop's methods."""

    protocol_version = "HTTP/1.1"
    shop: Shop

    def do_GET(self) -> None:
        """`/customers/{name}` and `/ledger`."""
        kind, _, name = self.path[1:].partition("/")
        if kind == "ledger":
            self._answer(200, self.shop.ledger)
        else:
            self._perform(lambda: self.shop.customer(name))

    def do_POST(self) -> None:
        """`/reservations`, `/charges`, `/parcels` and `/messages`."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        actions: dict[str, Callable[[], tuple[int, object]]] = {
            "/reservations": lambda: self.shop.reserve(body),
            "/charges": lambda: self.shop.charge(body, self.headers["Idempotency-Key"]),
            "/parcels": lambda: self.shop.parcel(body),
            "/messages": lambda: self.shop.message(body),
        }
        self._perform(actions[self.path])

    def do_DELETE(self) -> None:
        """`/reservations/{id}` and `/charges/{id}`."""
        kind, _, name = self.path[1:].partition("/")
        self._perform(lambda: self.shop.release(name) if kind == "reservations" else self.shop.refund(name))

    def _perform(self, action: Callable[[], tuple[int, object]]) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"error": "who are you?"})
            return
        time.sleep(self.shop.mischief.delay_seconds)
        with self.shop.lock:
            status, value = action()
            hangs = self.path == "/charges" and self.shop.attempts <= self.shop.mischief.hanging_charges
        if hangs:
            time.sleep(5)
        self._answer(status, value)

    def _answer(self, status: int, value: object) -> None:
        if not status:
            self.close_connection = True
            return
        text = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger tells."""


def serve(mischief: Mischief, port: int = 0) -> tuple[ThreadingHTTPServer, Shop]:
    """Open the shop on loopback in a thread of its own; closing is `server.shutdown()`."""
    shop = Shop(mischief=mischief)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("ShopHandler", (Handler,), {"shop": shop}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server, shop
