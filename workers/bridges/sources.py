"""Makes the source of an address. A client that is not installed is asked for when it is needed."""

import importlib
from collections.abc import Callable

from lemline_site.config.bridges import Address
from workers.bridges.source import Source
from workflows.runtime.errors import InvalidRequestError

_MAKERS = {
    "redis": ("redis_streams", "RedisStreams", ""),
    "amqp": ("rabbitmq", "RabbitMQ", ""),
    "nats": ("nats", "Nats", "nats-py"),
    "mqtt": ("mqtt", "Mqtt", "paho-mqtt"),
    "kafka": ("kafka", "Kafka", "confluent-kafka"),
}
"""Scheme to module, class and the package that it needs besides those of requirements.txt."""


def maker_of(address: Address) -> Callable[[], Source]:
    """Return what makes the source.

    Raises:
        InvalidRequestError: Its client is not installed.
    """
    module, name, package = _MAKERS[address.scheme]
    try:
        kind: Callable[[Address], Source] = getattr(importlib.import_module(f"workers.bridges.{module}"), name)
    except ModuleNotFoundError as error:
        raise InvalidRequestError(
            f"`lemline.events.bridges`: bridge {address.name} needs {package}: pip install -r requirements-events.txt"
        ) from error
    return lambda: kind(address)
