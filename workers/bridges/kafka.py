"""Kafka: a topic, read by a consumer group, whose offsets are committed after the events are stored."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from lemline_site.config.bridges import Address
from workers.bridges.source import Message


class Kafka:
    """A consumer that reads a topic from its first message on when the group is new."""

    def __init__(self, address: Address) -> None:
        settings: dict[str, Any] = {
            "bootstrap.servers": f"{address.host}:{address.port}",
            "group.id": address["group"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        access = "SASL_" if address.user else ""
        if address.is_encrypted or access:
            settings["security.protocol"] = f"{access}{'SSL' if address.is_encrypted else 'PLAINTEXT'}"
        if access:
            settings |= {
                "sasl.mechanism": "PLAIN", "sasl.username": address.user, "sasl.password": address.password,
            }  # fmt: skip
        self._topic = address["topic"]
        self._consumer = Consumer(settings)

    def open(self) -> None:
        """Join the group."""
        self._consumer.subscribe([self._topic])

    def take(self, most: int, seconds: float) -> Sequence[Message]:
        """Return what is next, of each partition in its order."""
        found = self._consumer.consume(most, seconds)
        for each in found:
            if error := each.error():
                raise KafkaException(error)
        return [_message(each) for each in found]

    def keep(self) -> None:
        """A group waits for five minutes; what is given to another one then comes twice."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Commit, and wait for it."""
        last: dict[int, int] = {}
        for message in messages:
            partition, offset = message.handle
            last[partition] = offset + 1
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in last.items()]
        self._consumer.commit(offsets=offsets, asynchronous=False)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def _message(taken: Any) -> Message:
    return Message(
        body=taken.value() or b"",
        headers={name: value or b"" for name, value in taken.headers() or ()},
        place=f"{taken.topic()} {taken.partition()}:{taken.offset()}",
        handle=(taken.partition(), taken.offset()),
    )
