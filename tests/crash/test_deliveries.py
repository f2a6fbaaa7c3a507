"""Messages that a killed worker had taken come again: on Redis after a while, on RabbitMQ at once."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis

from tests.crash.campaign.mail import RabbitBroker
from tests.crash.conftest import Open
from tests.crash.definitions import post, visit
from tests.crash.harness import SERVED, Installation
from tests.crash.stub import Stub

TASKS = [{"one": visit("/one")}, {"two": post("/two")}, {"three": visit("/three")}]


@pytest.fixture(scope="module")
def namespace(worker_id: str) -> str:
    """The prefix of names at brokers that others use as well."""
    return f"crash-{worker_id}-{os.getpid()}"


@pytest.fixture
def on_redis(
    open_installation: Open, database: str, redis_urls: tuple[str, str], namespace: str
) -> Iterator[Installation]:
    """Redis gives back what was not acknowledged within three seconds."""
    broker, cache = redis_urls
    more = {"LEMLINE_CLUSTER_NAMESPACE": namespace, "LEMLINE_MESSAGING_VISIBILITY_TIMEOUT": "3s"}
    with open_installation(database, SERVED, BROKER_URL=broker, CACHE_URL=cache, **more) as opened:
        yield opened


@pytest.fixture
def on_rabbitmq(
    open_installation: Open, database: str, redis_urls: tuple[str, str], rabbitmq_url: str, namespace: str
) -> Iterator[Installation]:
    """Nobody serves the pool `io`: RabbitMQ does not know its queue."""
    commands = {**SERVED, "compute": ("manage.py", "lemline", "worker", "--roles", "compute")}
    more = {"LEMLINE_CLUSTER_NAMESPACE": namespace}
    with open_installation(database, commands, BROKER_URL=rabbitmq_url, CACHE_URL=redis_urls[1], **more) as opened:
        yield opened
    RabbitBroker(rabbitmq_url, namespace).close()


def test_what_redis_delivers_again_is_dropped_when_it_was_committed(
    on_redis: Installation, stub: Stub, redis_urls: tuple[str, str], namespace: str
) -> None:
    on_redis.register("series", TASKS)
    instance = str(uuid4())
    on_redis.arm("settled", "compute", instance)

    on_redis.start("series", {"stub": stub.url}, instance)
    on_redis.await_end(instance)
    with redis.Redis.from_url(redis_urls[0]) as broker, redis.Redis.from_url(redis_urls[1]) as cache:
        on_redis.wait(lambda: not _left(broker, namespace), lambda: _left(broker, namespace))
        claims = list(cache.keys(f"{namespace}:claim:*"))
        lasting = [claim for claim in claims if cache.ttl(claim) == -1]

    assert on_redis.armed() == []
    assert stub.counts("/") == {"/one": 1, "/two": 1, "/three": 1}
    assert (len(claims), lasting) == (3, [])


def _left(broker: "redis.Redis[bytes]", namespace: str) -> dict[str, int]:
    """Return how many messages wait per list, and how many were taken and not acknowledged."""
    lists = [key for key in broker.keys(f"{namespace}:{namespace}.*") if broker.type(key) == b"list"]
    waiting = {key.decode(): broker.llen(key) for key in lists}
    taken = broker.hlen(f"{namespace}:unacked")
    return waiting | ({"unacked": taken} if taken else {})


def test_on_rabbitmq_kills_inside_and_after_an_activity_lose_nothing_and_repeat_nothing_that_was_committed(
    on_rabbitmq: Installation, stub: Stub, namespace: str, rabbitmq_url: str
) -> None:
    stub.calls.clear()
    on_rabbitmq.register("series", TASKS)
    inside, unacknowledged, unpublished = (str(uuid4()) for _ in range(3))
    on_rabbitmq.arm("ended", "compute", inside)
    on_rabbitmq.arm("settled", "http", unacknowledged)
    on_rabbitmq.arm("committed", "compute", unpublished, passages=1)

    endings = []
    for instance in (inside, unacknowledged, unpublished):
        on_rabbitmq.start("series", {"stub": stub.url}, instance)
        endings += on_rabbitmq.await_end(instance)

    assert on_rabbitmq.armed() == []
    assert [(ending.status, len(ending.history)) for ending in endings] == [("completed", 3)] * 3
    assert stub.counts("/") == {"/one": 4, "/two": 3, "/three": 3}
    on_rabbitmq.wait(lambda: not RabbitBroker(rabbitmq_url, namespace).left())
