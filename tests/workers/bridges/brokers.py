"""Brokers as their producers see them: each can be told something, and asked what it still keeps for a bridge."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import amqp
import nats
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

T = TypeVar("T")


class Broker(Protocol):
    """A place at a broker that nobody else uses."""

    url: str
    """For a bridge."""

    prefix: str
    """Before the names of attributes in binary mode."""

    def publish(self, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Send one message, and return when the broker has it."""
        ...

    def kept(self) -> int | None:
        """Return how many messages it would deliver again or has not delivered; None when it does not tell."""
        ...


class RedisBroker:
    """A stream."""

    prefix = "ce-"

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.stream = f"s{uuid4().hex}"
        self.url = f"{url}?stream={self.stream}"

    def publish(self, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.client.xadd(self.stream, {"data": body, "content-type": content_type, **(headers or {})})

    def kept(self) -> int | None:
        [group] = self.client.xinfo_groups(self.stream) or [None]
        return None if group is None else int(group["pending"] + (group["lag"] or 0))


class RabbitBroker:
    """A queue bound to an exchange."""

    prefix = "cloudEvents:"

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self.connection = amqp.Connection(f"{at.hostname}:{at.port}", userid=at.username, password=at.password)
        self.connection.connect()
        self.channel = self.connection.channel()
        self.queue = f"q{uuid4().hex}"
        self.channel.exchange_declare(self.queue, "topic", auto_delete=False, durable=True)
        self.channel.queue_declare(self.queue, durable=True, auto_delete=False)
        self.channel.queue_bind(self.queue, self.queue, "#")
        self.channel.confirm_select()
        self.url = f"{at.scheme}://{at.netloc}/%2F?queue={self.queue}&exchange={self.queue}"

    def publish(self, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        message = amqp.Message(body, content_type=content_type, application_headers=dict(headers or {}))
        self.channel.basic_publish_confirm(message, self.queue, "orders.placed")

    def kept(self) -> int | None:
        # What is delivered and not acknowledged is not counted, so nobody may be consuming.
        return int(self.channel.queue_declare(self.queue, passive=True).message_count)

    def close(self) -> None:
        self.channel.queue_delete(self.queue)
        self.connection.close()


class NatsBroker:
    """A subject, with a stream that keeps it or without."""

    prefix = "ce-"

    def __init__(self, url: str, *, is_kept: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.client = self.wait(nats.connect(url))
        self.name = f"s{uuid4().hex}"
        self.url = f"{url}?subject={self.name}.>"
        self.is_kept = is_kept
        if is_kept:
            self.wait(self.client.jetstream().add_stream(name=self.name, subjects=[f"{self.name}.>"]))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def publish(self, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        subject, more = f"{self.name}.placed", {"content-type": content_type, **(headers or {})}
        if self.is_kept:
            self.wait(self.client.jetstream().publish(subject, body, headers=more))
        else:
            self.wait(self.client.publish(subject, body, headers=more))
            self.wait(self.client.flush())

    def kept(self) -> int | None:
        if not self.is_kept:
            return None
        found = self.wait(self.client.jetstream().consumer_info(self.name, "lemline"))
        return (found.num_ack_pending or 0) + (found.num_pending or 0)

    def close(self) -> None:
        self.wait(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class MqttBroker:
    """A topic. Attributes stand among the user properties as they are."""

    prefix = ""

    def __init__(self, url: str, version: str = "5") -> None:
        at = urlsplit(url)
        self.topic = f"t{uuid4().hex}"
        self.version = version
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.connect(at.hostname or "", at.port or 0)
        self.client.loop_start()
        self.url = f"{url}?topic={self.topic}/+&version={version}&client-id={self.topic}"

    def publish(self, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = content_type
        properties.UserProperty = list((headers or {}).items())
        self.client.publish(f"{self.topic}/placed", body, qos=1, properties=properties).wait_for_publish(30)

    def kept(self) -> int | None:
        return None

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class KafkaBroker:
    """A topic of the broker that the client library brings along for tests."""

    prefix = "ce_"

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
        [self.server] = [f"{each.host}:{each.port}" for each in self.producer.list_topics().brokers.values()]
        self.topic = f"t{uuid4().hex}"
        self.count = 0
        self.url = f"kafka://{self.server}?topic={self.topic}"

    def publish(self, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        more = {"content-type": content_type, **(headers or {})}
        # One key, and so one partition.
        self.producer.produce(self.topic, body, key=b"k", headers=list(more.items()))
        self.producer.flush(30)
        self.count += 1

    def kept(self) -> int | None:
        consumer = Consumer({"bootstrap.servers": self.server, "group.id": "lemline"})
        try:
            partitions = self.producer.list_topics(self.topic).topics[self.topic].partitions
            wanted = [TopicPartition(self.topic, number) for number in partitions]
            return self.count - sum(max(0, each.offset) for each in consumer.committed(wanted, 30))
        finally:
            consumer.close()


@contextmanager
def closing(broker: Any) -> Iterator[Any]:
    """Close it after a block, if it can be."""
    try:
        yield broker
    finally:
        with contextlib.suppress(AttributeError):
            broker.close()
