"""Redis: kombu's channel, asking the lists that `Turns` names."""

import contextlib
from collections.abc import Callable
from queue import Empty
from typing import Any

from kombu.transport import redis

from workers.ledger import Ledger
from workers.turns import Turns

GLANCE_SECONDS = 0.001
"""How long a look that must not wait lasts: the least that Redis knows."""


class Channel(redis.Channel):
    """A channel that may take jobs."""

    QoS = Ledger
    qos: Ledger
    connection_errors: tuple[type[Exception], ...]
    _in_poll: Any
    _queue_cycle: Any
    _brpop_read: Callable[[], bool]
    turns: Turns | None = None
    """Set in the channel of a worker that takes jobs."""

    pool: Any
    _client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Return a client of the channel's connections: the same one for all that is sent. Kombu makes one for each
        event and each look at its books, and making it costs more than what it is for.
        """
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # not in the stubs
        if self._client is None or self._client.connection_pool is not self.pool:
            self._client = super()._create_client()  # type: ignore[misc]  # the same
        return self._client

    def _brpop_start(self, timeout: float | None = None) -> None:
        if self.turns is None:
            super()._brpop_start(timeout)  # type: ignore[misc]  # not in the stubs
            return
        queues, may_wait = self.turns.ask()
        # By remote control a worker may be told to leave a queue alone.
        if queues := [queue for queue in queues if queue in self._active_queues]:
            self._queue_cycle.update(queues)
            super()._brpop_start(timeout if may_wait else GLANCE_SECONDS)  # type: ignore[misc]  # the same

    def give_back(self) -> None:
        """Once nothing is consumed, return to its list what Redis may have popped for this process meanwhile."""
        with contextlib.suppress(Empty, *self.connection_errors):
            if self._in_poll:
                self._brpop_read()


class Transport(redis.Transport):
    """Kombu's transport, with those channels."""

    Channel: Any = Channel
