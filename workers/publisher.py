"""Puts messages on the broker in Celery's format."""

import base64
import copy
import socket
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import redis
from django.conf import settings
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from workers.app import app
from workers.message import Message, encode
from workers.routing import Routing
from workflows.dsl import jsontext
from workflows.runtime.ports import DispatchError

JOB = "lemline.run_activity"
"""Name of the one Celery job that runs activities."""

SIZE = "activities"
"""Header that says how many activities a message holds: whoever takes it need not open it to know."""


class Publisher(Protocol):
    """A broker, to publish to and to look at."""

    def publish(self, messages: Sequence[Message]) -> Mapping[str, int]:
        """Publish all of them.

        Returns:
            The messages that now wait per pool and level, where the broker says so at no cost.

        Raises:
            DispatchError: Some or all may not have arrived.
        """
        ...

    def depths(self) -> Mapping[str, int]:
        """Return the messages waiting per queue and level. DispatchError when the broker is away."""
        ...


def connect_publisher(names: Routing) -> Publisher:
    """Return the publisher for the configured broker."""
    if names.broker == "redis":
        return RedisPublisher(names, settings.LEMLINE.messaging.url)
    return KombuPublisher(names)


def shown(message: Message) -> tuple[str, str]:
    """Return what Flower shows as name and arguments: definition, task, instance; no data."""
    first = message.items[0]
    namespace, name, version = first.definition
    command = first.command
    task = "" if command is None else f" {command.name}"
    label = f"{namespace}/{name}:{version}{task}"
    if len(message.items) == 1:
        position = "" if command is None else f" {command.position}"
        return label, f"({first.instance_id}{position})"
    return f"{label} × {len(message.items)}", f"({first.instance_id} and {len(message.items) - 1} more)"


class KombuPublisher:
    """Any broker, through Celery's own producer."""

    def __init__(self, names: Routing) -> None:
        self._names = names
        connection: Any = app.connection_for_write()
        self._errors: tuple[type[Exception], ...] = (
            OperationalError, OSError, *connection.connection_errors, *connection.channel_errors,
        )  # fmt: skip

    def publish(self, messages: Sequence[Message]) -> Mapping[str, int]:
        """Send them one by one over one held connection."""
        try:
            with app.producer_or_acquire() as producer:
                for message in messages:
                    self._send(producer, message)
        except self._errors as error:
            raise DispatchError(str(error)) from error
        return {}

    def _send(self, producer: Any, message: Message) -> None:
        label, arguments = shown(message)
        app.send_task(
            JOB, args=[encode(message)], queue=self._names.queue(message.pool, message.level), producer=producer,
            shadow=label, argsrepr=arguments, kwargsrepr="{}", headers={SIZE: len(message.items)},
        )  # fmt: skip

    def depths(self) -> Mapping[str, int]:
        """Ask for each queue. One that is not there yet is made: a pool that nobody serves must not hide the others
        from the sweeper.
        """
        with app.connection_or_acquire() as connection:
            try:
                channel: Any = connection.default_channel
                return {
                    self._names.label(*place): _declared(queue, channel).message_count
                    for place, queue in zip(self._names.places(), self._names.queues(), strict=True)
                }
            except self._errors as error:
                raise DispatchError(str(error)) from error


def _declared(queue: Queue, channel: Any) -> Any:
    return queue(channel).queue_declare()


class RedisPublisher:
    """Redis: any number of messages in one round trip, in the form in which kombu stores them."""

    def __init__(self, names: Routing, url: str) -> None:
        self._names = names
        self._redis = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
        self._template = _template()

    def publish(self, messages: Sequence[Message]) -> Mapping[str, int]:
        """Push them all."""
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for message in messages:
                pipeline.lpush(self._names.redis_key(message.pool, message.level), self._envelope(message))
            lengths = pipeline.execute()
        except (redis.RedisError, OSError) as error:
            raise DispatchError(str(error)) from error
        labels = [self._names.label(message.pool, message.level) for message in messages]
        return dict(zip(labels, lengths, strict=True))

    def depths(self) -> Mapping[str, int]:
        """Ask for the length of each list."""
        places = self._names.places()
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for place in places:
                pipeline.llen(self._names.redis_key(*place))
            return dict(zip((self._names.label(*place) for place in places), pipeline.execute(), strict=True))
        except (redis.RedisError, OSError) as error:
            raise DispatchError(str(error)) from error

    def _envelope(self, message: Message) -> bytes:
        """Return the template with everything fresh that must be."""
        name, arguments = shown(message)
        job = str(uuid.uuid4())
        envelope = {**self._template, "body": _body(encode(message))}
        envelope["headers"] = {
            **self._template["headers"], "id": job, "root_id": job, "shadow": name, "argsrepr": arguments,
            SIZE: len(message.items),
        }  # fmt: skip
        envelope["properties"] = {
            **self._template["properties"],
            "correlation_id": job,
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {
                "exchange": self._names.namespace,
                "routing_key": self._names.key(message.pool, message.level),
            },
        }
        return jsontext.encode(envelope)


def _body(text: str) -> str:
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return base64.b64encode(jsontext.encode([[text], {}, embedded])).decode()


def _template() -> dict[str, Any]:
    """Let Celery publish one job to a broker in memory, and take what it put there."""
    scratch = f"template-{uuid.uuid4()}"
    with Connection("memory://", transport_options={"polling_interval": 0}) as connection:
        channel: Any = connection.default_channel
        channel.queue_declare(queue=scratch)
        channel.exchange_declare(exchange=scratch, type="direct")
        channel.queue_bind(queue=scratch, exchange=scratch, routing_key=scratch)
        with app.amqp.Producer(connection, auto_declare=False) as producer:
            message = app.amqp.create_task_message(
                str(uuid.uuid4()), JOB, [""], {}, argsrepr="", kwargsrepr="{}", shadow="", origin=_origin(),
                ignore_result=True,
            )  # fmt: skip
            producer.publish(
                message.body, exchange=scratch, routing_key=scratch, serializer="json", compression=None,
                headers=message.headers, delivery_mode=2, **message.properties,
            )  # fmt: skip
        stored: dict[str, Any] = copy.deepcopy(channel._get(scratch))
        channel.queue_delete(queue=scratch)
    return stored


def _origin() -> str:
    return f"lemline@{socket.gethostname()}"
