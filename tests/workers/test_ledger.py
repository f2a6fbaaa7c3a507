"""What a worker took from Redis stands in kombu's books, which other workers read."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Queue, transport

QUEUE = Queue("books", Exchange("books", type="direct"), routing_key="books")
OPTIONS = {"global_keyprefix": "books:", "visibility_timeout": 3600}


@pytest.fixture
def server(redis_urls: tuple[str, str]) -> Iterator["redis.Redis[bytes]"]:
    with redis.Redis.from_url(redis_urls[0]) as client:
        yield client
        for key in client.keys("books:*"):
            client.delete(key)


@pytest.fixture
def channel(
    server: "redis.Redis[bytes]", redis_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A worker's channel, with two messages published and taken."""
    monkeypatch.setattr(transport, "_transport_cache", {})
    monkeypatch.setitem(transport.TRANSPORT_ALIASES, "redis", "workers.polling:Transport")
    with Connection(redis_urls[0], transport_options=OPTIONS) as connection:
        channel: Any = connection.default_channel
        producer = connection.Producer(channel)
        for number in (1, 2):
            producer.publish({"number": number}, exchange=QUEUE.exchange, routing_key="books", declare=[QUEUE])
        yield channel


def take(channel: Any) -> Any:
    return channel.basic_get("books")


def books(server: "redis.Redis[bytes]") -> tuple[int, int, int]:
    """Return how many messages wait, are entered, and stand in the index."""
    return server.llen("books:books"), server.hlen("books:unacked"), server.zcard("books:unacked_index")


def test_what_was_taken_stands_in_the_books_until_what_was_acknowledged_is_settled(
    channel: Any, server: "redis.Redis[bytes]"
) -> None:
    first, second = take(channel), take(channel)
    channel.qos._confirm()
    assert books(server) == (0, 2, 2)

    first.ack()
    second.ack()
    channel.qos._confirm()
    assert books(server) == (0, 2, 2)

    channel.qos.settle()
    channel.qos._confirm()
    assert books(server) == (0, 0, 0)


def test_kombu_gives_back_what_a_worker_took_and_died_with(
    channel: Any, server: "redis.Redis[bytes]", redis_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = take(channel)
    channel.qos._confirm()
    monkeypatch.setattr(transport, "_transport_cache", {})
    monkeypatch.setitem(transport.TRANSPORT_ALIASES, "redis", "kombu.transport.redis:Transport")

    options = {**OPTIONS, "visibility_timeout": -1}
    with Connection(redis_urls[0], transport_options=options) as connection:
        connection.default_channel.qos.restore_visible()

    assert books(server) == (2, 0, 0)
    again = [take(channel).payload for _ in range(2)]
    assert taken.payload in again


def test_a_channel_that_is_closed_strikes_out_what_was_acknowledged_and_gives_back_the_rest(
    channel: Any, server: "redis.Redis[bytes]"
) -> None:
    first, _ = take(channel), take(channel)
    first.ack()

    channel.close()

    assert books(server) == (1, 0, 0)


def test_what_is_acknowledged_after_its_channel_was_closed_is_struck_out_at_once(
    channel: Any, server: "redis.Redis[bytes]"
) -> None:
    first = take(channel)
    channel.qos._confirm()
    channel.qos._is_open = False

    first.ack()

    assert books(server) == (1, 0, 0)


def test_what_is_rejected_waits_again(channel: Any, server: "redis.Redis[bytes]") -> None:
    take(channel).reject(requeue=True)

    assert books(server) == (2, 0, 0)


def test_what_was_acknowledged_while_redis_was_away_is_struck_out_by_the_next_turn(
    channel: Any, server: "redis.Redis[bytes]"
) -> None:
    first = take(channel)
    channel.qos._confirm()
    first.ack()
    channel.qos._connection._sock.close()

    with pytest.raises(channel.connection_errors):
        channel.qos.settle()
    channel.qos.settle()
    channel.qos._confirm()

    assert books(server) == (1, 0, 0)
