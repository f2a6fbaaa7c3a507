"""RabbitMQ: a consumer that fetches messages from the queues that `Turns` names.

What RabbitMQ sends ahead it chooses itself, and quorum queues let nobody limit it per process. So this consumer
lets it send one message per queue, and only while there is room and all queues are empty; from then on it fetches
them one by one, until nothing is left.
"""

from typing import Any

from kombu import Consumer

from workers.turns import Turns


class PullingConsumer(Consumer):
    """Takes the place of Celery's consumer of jobs."""

    channel: Any
    _active_tags: dict[str, str]
    """Queue to consumer, while messages are sent."""

    _queues: dict[str, Any]

    def __init__(self, channel: Any, *args: Any, **options: Any) -> None:
        self.turns: Turns | None = None
        self._is_open = False
        self._has_heard = False
        # Celery limits its own channel as a whole, which quorum queues refuse.
        own = channel.channel()
        own.basic_qos(0, 1, False)
        super().__init__(own, *args, **options)

    def qos(self, *_: Any, **__: Any) -> None:
        """One message per queue it is."""

    def consume(self, no_ack: bool | None = None) -> None:
        """Begin to take messages."""
        self._is_open = True

    def cancel(self) -> None:
        """Take no more."""
        self._is_open = False
        super().cancel()

    close = cancel

    def pull(self) -> None:
        """Take what may be taken now; when all is taken, have the next ones sent."""
        while self._is_open and self.turns is not None:
            queues, may_wait = self.turns.ask()
            if self._active_tags and may_wait and not self._has_heard:
                return
            if self._active_tags:
                # What was sent meanwhile comes in before this returns: ask anew.
                super().cancel()
                continue
            if any(self._fetch(queue) for queue in queues if queue in self._queues):
                continue
            if may_wait:
                self._has_heard = False
                super().consume()
            return

    def _fetch(self, queue: str) -> bool:
        message = self.channel.basic_get(queue, no_ack=False)
        if message is None:
            return False
        self._receive_callback(message)
        return True

    def _receive_callback(self, message: Any) -> Any:
        self._has_heard = True
        return super()._receive_callback(message)
