"""RabbitMQ: an exchange, which confirms what it took. The client waits in a thread of its own."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import amqp
from amqp.exceptions import MessageNacked

from workers.sinks.layout import Layout, lay_out
from workers.sinks.sender import FailedError, Place
from workflows.runtime.deliveries import Letter

_PERSISTENT = 2


class RabbitMQSender:
    """Publishes with confirmation, to queues that must be there unless `mandatory=false`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rabbitmq")
        self._connection: Any = None
        self._channel: Any = None
        self._returned: list[str] = []

    async def send(self, letter: Letter) -> None:
        """Return once the broker has confirmed it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._send, letter)

    async def close(self) -> None:
        """Disconnect."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)

    def _send(self, letter: Letter) -> None:
        layout = lay_out(letter.event, is_binary=self._place.is_binary)
        was_there = self._channel is not None
        try:
            self._publish(layout, letter)
        except FailedError:
            raise
        except Exception:
            self._disconnect()
            if not was_there:
                raise
            # Cut while nothing was sent: a new connection may be all that is wanted.
            self._publish(layout, letter)

    def _publish(self, layout: Layout, letter: Letter) -> None:
        address = self._place.address
        key = address["routing-key"] or letter.type
        message = amqp.Message(
            layout.body, content_type=layout.content_type, delivery_mode=_PERSISTENT, message_id=letter.event_id[:255],
            application_headers={f"cloudEvents:{name}": value for name, value in layout.attributes.items()},
        )  # fmt: skip
        channel = self._channel or self._connect()
        self._returned.clear()
        where = f"exchange {address['exchange']!r}, routing key {key!r}"
        try:
            channel.basic_publish_confirm(
                message, exchange=address["exchange"], routing_key=key, mandatory=address["mandatory"] == "true",
                confirm_timeout=self._place.timeout_seconds,
            )  # fmt: skip
        except MessageNacked as error:
            raise FailedError(f"{where}: the broker did not take it") from error
        if self._returned:
            raise FailedError(f"{where}: {self._returned[0]}; bind a queue, or say mandatory=false")

    def _connect(self) -> Any:
        address, seconds = self._place.address, self._place.timeout_seconds
        user, password = self._place.login()
        self._connection = amqp.Connection(
            f"{address.host}:{address.port}", userid=user or "guest", password=password or "guest",
            virtual_host=address.path or "/", ssl=address.is_encrypted, connect_timeout=seconds,
            read_timeout=seconds, write_timeout=seconds, confirm_publish=False,
        )  # fmt: skip
        self._connection.connect()
        self._channel = self._connection.channel()
        self._channel.events["basic_return"].add(self._give_back)
        return self._channel

    def _give_back(self, error: Exception, *_: object) -> None:
        self._returned.append(str(error))

    def _disconnect(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()
