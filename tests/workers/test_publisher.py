"""Messages on real brokers, taken from them as Celery's workers take them."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from django.conf import settings
from kombu import Connection, Consumer

from lemline_site import addresses
from tests.workers.test_message import delivery
from workers import publisher
from workers.app import app
from workers.message import Message, decode, message_of
from workers.publisher import JOB, KombuPublisher, Publisher, RedisPublisher
from workers.routing import Routing, routing
from workflows.runtime.ports import DispatchError

SECONDS = 20


class Line:
    """A publisher, and a consumer at the other end."""

    def __init__(self, url: str, sender: Publisher, names: Routing) -> None:
        self.publisher = sender
        self.names = names
        self._url = url

    def publish(self, *levels: int, pool: str = "compute") -> Mapping[str, int]:
        return self.publisher.publish([message_of(pool, level, [delivery(level, {"n": level})]) for level in levels])

    def taken(self, count: int, pool: str = "compute") -> list[Any]:
        """Take so many messages of a pool."""
        found: list[Any] = []

        def take(message: Any) -> None:
            found.append(message)
            message.ack()

        options = addresses.transport_options(settings.LEMLINE)
        own = {self.names.queue(pool, level) for level in range(1, 6)}
        queues = [queue for queue in self.names.queues() if queue.name in own]
        with (
            Connection(self._url, transport_options=options) as connection,
            Consumer(connection, queues, on_message=take, accept=["json"], prefetch_count=1),
        ):
            while len(found) < count:
                connection.drain_events(timeout=SECONDS)
        return found


@pytest.fixture(params=("redis", "amqp"))
def line(
    request: pytest.FixtureRequest, configure: Callable[[Mapping[str, str]], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Line]:
    """Redis and RabbitMQ, with queues of the test's own."""
    url = request.getfixturevalue("redis_url" if request.param == "redis" else "rabbitmq_url")
    configure({"lemline.messaging.url": url, "lemline.cluster.namespace": f"test-{uuid4().hex[:8]}"})
    names = routing(settings.LEMLINE)
    celery = Celery("test")
    celery.conf.update({name: value for name, value in app.conf.items() if name.startswith(("task_", "accept_"))})
    celery.conf.update(
        broker_url=url, broker_transport_options=addresses.transport_options(settings.LEMLINE),
        task_queues=names.queues(), task_default_exchange=names.namespace, broker_connection_timeout=2,
    )  # fmt: skip
    monkeypatch.setattr(publisher, "app", celery)
    with Connection(url, transport_options=addresses.transport_options(settings.LEMLINE)) as connection:
        for queue in names.queues():
            queue(connection.default_channel).declare()
    yield Line(url, RedisPublisher(names, url) if request.param == "redis" else KombuPublisher(names), names)
    with Connection(url, transport_options=addresses.transport_options(settings.LEMLINE)) as connection:
        for queue in names.queues():
            queue(connection.default_channel).delete()
    celery.close()


def message_in(taken: Any) -> Message:
    [text], _, _ = taken.payload
    return decode(text)


def test_each_message_goes_to_the_queue_of_its_level(line: Line):
    line.publish(3, 5, 1)

    queues = {message_in(taken).level: taken.delivery_info["routing_key"][-9:] for taken in line.taken(3)}
    assert queues == {1: "compute.1", 3: "compute.3", 5: "compute.5"}


def test_a_message_says_how_many_activities_it_holds(line: Line):
    line.publisher.publish([message_of("compute", 3, [delivery(1), delivery(2)])])
    [taken] = line.taken(1)

    assert taken.headers[publisher.SIZE] == 2


def test_pools_do_not_see_each_others_messages(line: Line):
    line.publish(1, pool="http")
    line.publish(2, pool="compute")

    assert [message_in(taken).pool for taken in line.taken(1, "compute")] == ["compute"]
    assert [message_in(taken).pool for taken in line.taken(1, "http")] == ["http"]


def test_a_message_is_a_job_of_celery_that_shows_what_it_is_for_and_no_data(line: Line):
    sent = message_of("compute", 3, [delivery(1, {"card": "4111-1111"})])

    line.publisher.publish([sent])
    [taken] = line.taken(1)

    assert message_in(taken) == decode(publisher.encode(sent))
    assert taken.headers["task"] == JOB
    assert taken.headers["shadow"] == "shop/order:1.2.0 task1"
    assert taken.headers["argsrepr"] == "(i1 /do/1/task1)"
    assert taken.headers["kwargsrepr"] == "{}"
    assert "4111" not in json.dumps(taken.headers, default=str)
    assert taken.content_type == "application/json"


def test_each_message_has_an_id_of_its_own(line: Line):
    line.publish(3, 3, 3)

    taken = line.taken(3)

    assert len({message.headers["id"] for message in taken}) == 3
    assert len({message.properties["correlation_id"] for message in taken}) == 3


def test_depths_are_told_per_queue(line: Line):
    line.publish(1, 1, 4)

    depths = line.publisher.depths()

    assert {label: count for label, count in depths.items() if count} == {"compute/1": 2, "compute/4": 1}
    assert set(depths) == {
        f"{pool}/{n}" for pool in ("http", "compute", "io", "events", "maintenance") for n in range(1, 6)
    }


def test_large_messages_arrive_whole(line: Line):
    deliveries = [delivery(number, {"text": "x" * 15_000}) for number in range(1, 65)]

    line.publisher.publish([message_of("compute", 1, deliveries)])
    [taken] = line.taken(1)

    assert len(message_in(taken).items) == 64
    assert message_in(taken).items[63].command == deliveries[63].command


def test_redis_tells_how_many_messages_wait_where_it_was_published(redis_url: str):
    sender = RedisPublisher(Routing("test", "redis", 5), redis_url)
    one = message_of("compute", 2, [delivery()])

    assert sender.publish([one, one]) == {"compute/2": 2}


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_a_dispatch_error_within_moments(scheme: str, monkeypatch: pytest.MonkeyPatch):
    names, url = Routing("test", scheme, 5), f"{scheme}://127.0.0.1:1/"
    celery = Celery("test", broker=url)
    celery.conf.update(
        task_queues=names.queues(), broker_connection_timeout=1,
        task_publish_retry_policy=settings.CELERY_TASK_PUBLISH_RETRY_POLICY,
    )  # fmt: skip
    monkeypatch.setattr(publisher, "app", celery)
    sender: Publisher = RedisPublisher(names, url) if scheme == "redis" else KombuPublisher(names)

    with pytest.raises(DispatchError):
        sender.publish([message_of("compute", 3, [delivery()])])
    with pytest.raises(DispatchError):
        sender.depths()


@pytest.mark.parametrize("line", ["amqp"], indirect=True)
def test_a_queue_that_was_declared_otherwise_is_a_dispatch_error(line: Line):
    with Connection(line._url) as connection:
        [queue] = [queue for queue in line.names.queues() if queue.name == line.names.queue("io", 3)]
        queue(connection.default_channel).delete()
        connection.default_channel.queue_declare(
            queue.name, durable=True, auto_delete=False, arguments={"x-max-priority": 9}
        )

        with pytest.raises(DispatchError):
            line.publisher.publish([message_of("io", 3, [delivery()])])
