"""RabbitMQ: a queue, made durable and bound to an exchange where it is not there yet."""

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import amqp

from lemline_site.config.bridges import Address
from workers.bridges.bridge import MOST
from workers.bridges.source import Message

HEARTBEAT_SECONDS = 30
_CONNECT_SECONDS = 10.0


class RabbitMQ:
    """A connection that consumes a queue with manual acknowledgement."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._arrived: deque[Message] = deque()
        self._connection: Any = None
        self._channel: Any = None

    def open(self) -> None:
        """Connect, and have the broker deliver a batch ahead."""
        address = self._address
        self._connection = amqp.Connection(
            f"{address.host}:{address.port}", userid=address.user or "guest", password=address.password or "guest",
            virtual_host=address.path or "/", heartbeat=HEARTBEAT_SECONDS, connect_timeout=_CONNECT_SECONDS,
            ssl=address.is_encrypted,
        )  # fmt: skip
        self._connection.connect()
        self._declare()
        self._channel = self._connection.channel()
        self._channel.auto_decode = False
        self._channel.basic_qos(0, MOST, False)
        self._channel.basic_consume(address["queue"], callback=self._arrive)

    def take(self, most: int, seconds: float) -> Sequence[Message]:
        """Return what has been delivered, or comes now."""
        until = time.monotonic() + seconds
        while not self._arrived and (left := until - time.monotonic()) > 0:
            self._drain(left)
        # What lies in the socket already is taken along.
        while self._arrived and len(self._arrived) < most and self._drain(0.001):
            pass
        self._connection.heartbeat_tick()
        return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]

    def keep(self) -> None:
        """Send a heartbeat when one is due, and see those of the broker."""
        self._drain(0.001)
        self._connection.heartbeat_tick()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge all up to the last one: what was delivered beyond has not been taken."""
        self._channel.basic_ack(messages[-1].handle, multiple=True)

    def close(self) -> None:
        """Disconnect; the broker delivers the rest again."""
        with contextlib.suppress(OSError, amqp.AMQPError, AttributeError):
            self._connection.close()

    def _declare(self) -> None:
        """Make the queue unless it is there, of whatever sort; and bind it where an exchange is named."""
        queue, exchange = self._address["queue"], self._address["exchange"]
        try:
            with self._connection.channel() as channel:
                channel.queue_declare(queue, passive=True)
        except amqp.NotFound:
            with self._connection.channel() as channel:
                channel.queue_declare(queue, durable=True, auto_delete=False)
        if exchange:
            with self._connection.channel() as channel:
                channel.queue_bind(queue, exchange, self._address["routing-key"])

    def _drain(self, seconds: float) -> bool:
        """Handle what comes within a time; return whether anything did."""
        try:
            self._connection.drain_events(timeout=seconds)
        except TimeoutError:
            return False
        return True

    def _arrive(self, message: Any) -> None:
        properties = message.properties
        body = message.body
        self._arrived.append(
            Message(
                body=body.encode() if isinstance(body, str) else bytes(body),
                headers=properties.get("application_headers") or {},
                content_type=properties.get("content_type") or "",
                place=f"{self._address['queue']} {message.delivery_tag}",
                handle=message.delivery_tag,
            )
        )
