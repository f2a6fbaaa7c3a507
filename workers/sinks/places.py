"""Finds what sends to an address."""

from collections.abc import Callable, Mapping
from importlib import import_module

from workers.sinks.sender import Place, Sender

_SENDERS: Mapping[str, tuple[str, str]] = {
    "http": ("http", "HttpSender"),
    "redis": ("redis_stream", "RedisStreamSender"),
    "amqp": ("rabbitmq", "RabbitMQSender"),
    "nats": ("nats", "NatsSender"),
    "mqtt": ("mqtt", "MqttSender"),
}
"""Scheme to module and class: imported when they are wanted, since some clients need not be installed."""


def sender_of(place: Place) -> Sender:
    """Return what sends there; it connects with the first event."""
    module, name = _SENDERS[place.address.scheme]
    make: Callable[[Place], Sender] = getattr(import_module(f"workers.sinks.{module}"), name)
    return make(place)
