"""How a worker process takes messages: Celery's consumer, told in which order to ask its queues.

Left alone, it takes what the broker gives: with RabbitMQ what was sent ahead, with Redis the first list that has
something. Here `Turns` is asked before each message, so that nothing a process has taken stands in the way of
what is more urgent. Everything here runs on the thread of Celery's event loop, but for `opened` and `close`.
"""

from functools import partial
from typing import Any

from celery import bootsteps, current_task
from celery.worker.consumer import Consumer, Tasks
from kombu.transport import TRANSPORT_ALIASES
from vine import promise

from workers.app import app
from workers.publisher import SIZE
from workers.pulling import PullingConsumer
from workers.turns import LOOK_SECONDS, Turns

EVENTS_SECONDS = 0.5
"""How long an event for Flower waits for others, to be published with them."""

EVENTS_LIMIT = 1000
"""Events that wait at most."""

RECONNECT_SECONDS = 1.0
"""Pause between attempts to reach a broker that is away, however long it has been."""

_turns: list[Turns] = []


def use(turns: Turns, broker: str) -> None:
    """Have the worker of this process take messages in this order. Before it is made."""
    _turns[:] = [turns]
    if broker == "redis":
        TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "workers.polling:Transport"))
    else:
        app.amqp.Consumer = PullingConsumer


def opened() -> None:
    """Note that it is known what the message of this thread's job holds."""
    for turns in _turns:
        turns.open(str(current_task.request.id))


def close() -> None:
    """Take nothing more. From any thread."""
    for turns in _turns:
        turns.close()


class Taking(bootsteps.StartStopStep):
    """Connects Celery's event loop with `Turns`."""

    requires = (Tasks,)

    def __init__(self, c: Any, **options: Any) -> None:
        self._consumer = c
        self._hub: Any = None
        self._will_look = False
        super().__init__(c, **options)

    def start(self, c: Any) -> None:
        """Have the broker's side ask, and count what is taken."""
        [turns] = _turns
        taker = c.task_consumer if isinstance(c.task_consumer, PullingConsumer) else c.task_consumer.channel
        taker.turns = turns
        c.on_task_message.add(_count)
        c.event_dispatcher.buffer_limit = EVENTS_LIMIT

    def register_with_event_loop(self, c: Any, hub: Any) -> None:
        """Ask whenever something may have changed, and publish events together."""
        self._hub = hub
        self._will_look = False
        wake = promise(_nothing)
        for turns in _turns:
            turns.on_room(lambda: hub.call_soon(wake))
        hub.call_repeatedly(EVENTS_SECONDS, c._flush_events)
        hub.on_tick.add(self.tick)

    def tick(self) -> None:
        """Take what may be taken, and note what was acknowledged; without room, look again soon for what is more
        urgent.
        """
        consumer = self._consumer.task_consumer
        if isinstance(consumer, PullingConsumer):
            consumer.pull()
        elif consumer is not None:
            consumer.channel.qos.settle()
        if not self._will_look and any(turns.looks_again for turns in _turns):
            self._will_look = True
            self._hub.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._will_look = False

    def stop(self, c: Any) -> None:
        """Give back what was sent ahead: now, not when the last job has ended."""
        if c.task_consumer is not None:
            c.task_consumer.cancel()
            if not isinstance(c.task_consumer, PullingConsumer):
                c.task_consumer.channel.give_back()

    def shutdown(self, c: Any) -> None:
        """Publish the last events."""
        c._flush_events()


class TakingConsumer(Consumer):
    """Celery's consumer with that step; and without the queues for delayed jobs, which it makes for quorum queues."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc, valid-type]  # a class, which the stubs do not say
        """Its steps."""

        default_steps = (
            *(step for step in Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")),
            "workers.taking:Taking",
        )

    def ensure_connected(self, conn: Any) -> Any:
        """Be back as soon as the broker is."""
        return super().ensure_connected(evenly(conn))

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # nobody uses what it returns
        """Leave events to the timer: by itself, Celery publishes each one alone."""


def evenly(connection: Any) -> Any:
    """Have a connection that cannot be made tried again at even intervals: Celery's own grow to half a minute."""
    connection._ensure_connection = partial(
        connection._ensure_connection, interval_start=RECONNECT_SECONDS, interval_step=0, interval_max=RECONNECT_SECONDS
    )
    return connection


def _count(request: Any) -> None:
    """Note a message that was taken."""
    for turns in _turns:
        turns.take(request.id, request.delivery_info["routing_key"], request.request_dict.get(SIZE, 1))


def _nothing() -> None:
    """Being called is enough: the loop looks at its queues when it has woken up."""
