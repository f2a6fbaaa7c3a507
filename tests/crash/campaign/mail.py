"""Messages on their way: taken from the broker by a thief, who loses some, doubles some and mixes up the rest."""

import base64
import contextlib
import json
import random
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import redis
from kombu import Connection

from workers.message import decode
from workers.routing import Routing

LEVELS = 5
THEFT_SECONDS = 1.0
"""Well under two thirds of a lease: what is given back by then was not missed."""


class Broker(Protocol):
    """What a campaign does at the broker behind everybody's back."""

    def steal(self) -> list[Any]:
        """Compete with the consumers for a while; return what was got."""
        ...

    def put(self, stolen: Any) -> None:
        """Publish a stolen message as it was."""
        ...

    def flush(self) -> None:
        """Forget all messages that wait."""
        ...

    def left(self) -> Mapping[str, int]:
        """Return how many messages wait or were not acknowledged, where there are any."""
        ...

    def knows(self, instance: str) -> bool:
        """Return whether a message for an instance is there, taken or not; true where the broker does not tell."""
        ...


class RedisBroker:
    """Lists of Redis."""

    def __init__(self, url: str, namespace: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._namespace = namespace
        names = Routing(namespace, "redis", LEVELS)
        self._lists = [names.redis_key(pool, level) for pool, level in names.places()]

    def close(self) -> None:
        self._redis.close()

    def steal(self) -> list[tuple[str, bytes]]:
        """Wait in line like a consumer."""
        stolen, until = [], time.monotonic() + THEFT_SECONDS
        while time.monotonic() < until:
            if got := self._redis.brpop(self._lists, timeout=0.2):
                stolen.append((got[0].decode(), got[1]))
        return stolen

    def put(self, stolen: tuple[str, bytes]) -> None:
        self._redis.lpush(*stolen)

    def flush(self) -> None:
        self._redis.delete(*self._lists)

    def left(self) -> Mapping[str, int]:
        lengths = {name: self._redis.llen(name) for name in self._lists}
        lengths["unacked"] = self._redis.hlen(f"{self._namespace}:unacked")
        return {name: length for name, length in lengths.items() if length}

    def knows(self, instance: str) -> bool:
        taken = [json.loads(value)[0] for value in self._redis.hvals(f"{self._namespace}:unacked")]
        waiting = [json.loads(value) for name in self._lists for value in self._redis.lrange(name, 0, -1)]
        return any(instance in instances_of(message) for message in [*taken, *waiting])


class RabbitBroker:
    """Queues of RabbitMQ."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url
        names = Routing(namespace, "amqp", LEVELS)
        self._queues = [names.queue(pool, level) for pool, level in names.places()]

    def close(self) -> None:
        """Leave no queue on a server that others may use."""
        with contextlib.suppress(OSError), Connection(self._url) as connection:
            for queue in self._queues:
                connection.default_channel.queue_delete(queue)

    def steal(self) -> list[Any]:
        """Be one more consumer of each queue."""
        stolen: list[Any] = []
        until = time.monotonic() + THEFT_SECONDS
        with Connection(self._url) as connection:
            for queue in self._queues:
                keep = partial(_keep, stolen, queue)
                connection.default_channel.basic_consume(queue, no_ack=True, callback=keep)
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=0.2)
        return stolen

    def put(self, stolen: Any) -> None:
        queue, message = stolen
        with Connection(self._url) as connection:
            connection.default_channel.basic_publish(message, exchange="", routing_key=queue)

    def flush(self) -> None:
        with Connection(self._url) as connection:
            for queue in self._queues:
                connection.default_channel.queue_purge(queue)

    def left(self) -> Mapping[str, int]:
        with Connection(self._url) as connection:
            channel: Any = connection.default_channel
            counts = {queue: channel.queue_declare(queue, passive=True).message_count for queue in self._queues}
        return {queue: count for queue, count in counts.items() if count}

    def knows(self, instance: str) -> bool:
        return True


def instances_of(message: Mapping[str, Any]) -> list[str]:
    """Return the instance of each activity in a message, as kombu stores it in Redis."""
    [[text], _, _] = json.loads(base64.b64decode(message["body"]))
    return [item.instance_id for item in decode(text).items]


def _keep(stolen: list[Any], queue: str, message: Any) -> None:
    stolen.append((queue, message))


def mistreat(broker: Broker, stolen: list[Any], chance: random.Random, way: str) -> int:
    """Give back what was stolen: all of it twice, all but a half, or in another order. Returns how many it concerns."""
    if way == "doubled":
        given = [*stolen, *stolen]
    elif way == "dropped":
        given = stolen[len(stolen) // 2 + 1 :]
    else:
        given = chance.sample(stolen, len(stolen))
    for message in given:
        broker.put(message)
    return len(stolen) if way != "dropped" else len(stolen) - len(given)
