"""What a worker has taken from Redis and not acknowledged yet, in kombu's books: messages by tag, and when each was
taken. Any worker gives back from them what nobody acknowledged for long.

Kombu waits for Redis twice a message, which costs a worker more than the rest of its way to a thread. Here an entry
is sent and its answer read before the next one; what is acknowledged within one turn of the loop leaves together.
"""

import contextlib
import time
from typing import Any

import msgspec
from kombu.transport import redis, virtual


class Ledger(redis.QoS):
    """The books of one channel. Used by the thread of the event loop only."""

    channel: Any
    unacked_key: str
    unacked_index_key: str

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_open = True
        self._acknowledged: list[str] = []
        self._connection: Any = None
        self._owed = 0
        """Answers that Redis has been asked for and that were not read."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Enter a message."""
        info = message.delivery_info
        entry = msgspec.json.encode([message._raw, info["exchange"], info["routing_key"]])
        self._send(("ZADD", self._index, time.time(), delivery_tag), ("HSET", self._messages, delivery_tag, entry))
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Have a message struck out by the next `settle`; at once after the channel was closed."""
        if not self._is_open:
            super().ack(delivery_tag)
            return
        self._acknowledged.append(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def settle(self) -> None:
        """Strike out what was acknowledged."""
        if self._acknowledged:
            tags = self._acknowledged
            self._send(("ZREM", self._index, *tags), ("HDEL", self._messages, *tags))
            self._acknowledged = []

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Strike out a message, and return it to its list if it is to be taken again."""
        self._confirm()
        super().reject(delivery_tag, requeue=requeue)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Return a message to its list. Kombu reads the entry over another connection: it must have arrived."""
        self._confirm()
        super().restore_by_tag(tag, client=client, leftmost=leftmost)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Close the books: strike out what was acknowledged, and return the rest to its lists."""
        self._is_open = False
        # The connection may have been closed by now, with answers that nobody read.
        with contextlib.suppress(*self.channel.connection_errors):
            self._confirm()
        # Where this does not succeed, whoever restores what nobody acknowledged for long finds the entries.
        with contextlib.suppress(*self.channel.connection_errors):
            self.settle()
            self._confirm()
        super().restore_unacked_once(stderr)

    @property
    def _index(self) -> str:
        return f"{self.channel.global_keyprefix}{self.unacked_index_key}"

    @property
    def _messages(self) -> str:
        return f"{self.channel.global_keyprefix}{self.unacked_key}"

    def _send(self, *commands: tuple[Any, ...]) -> None:
        self._confirm()
        if self._connection is None:
            self._connection = self.channel.pool.get_connection()
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands))
        except BaseException:
            self._connection.disconnect()
            raise
        self._owed = len(commands)

    def _confirm(self) -> None:
        """Read the answers that are owed."""
        owed, self._owed = self._owed, 0
        try:
            for _ in range(owed):
                self._connection.read_response()
        except BaseException:
            self._connection.disconnect()
            raise
