"""What brings an event to a place, on real servers: what arrives there, and how it fails."""

import asyncio
import json
import queue
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import amqp
import pytest
import redis

from lemline_site.services.program import free_port
from workers.sinks.places import sender_of
from workers.sinks.sender import AwayError, FailedError, Place
from workflows.dsl.jsontext import encode
from workflows.runtime.deliveries import Letter
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.sink_address import read_address

EVENT = {
    "specversion": "1.0", "id": "é1", "source": "/tests", "type": "com.acme.told", "subject": "a b",
    "data": {"price": 1.1},
}  # fmt: skip
ATTRIBUTES = {name: value for name, value in EVENT.items() if name != "data"}
DATA = b'{"price":1.1}'
STRUCTURED = "application/cloudevents+json"

modes = pytest.mark.parametrize("is_binary", [False, True], ids=["structured", "binary"])


def place(url: str, is_binary: bool = False, **secrets: Any) -> Place:
    return Place(
        address=read_address(url), is_binary=is_binary, secret="", credentials=next(iter(secrets), ""),
        read_secret=secrets.__getitem__, timeout_seconds=5.0, user_agent="tests", private_addresses=("loopback",),
    )  # fmt: skip


def letter(number: int = 0, event: Mapping[str, Any] = EVENT) -> Letter:
    return Letter(
        id=number, instance=UUID(int=1), attempts=0, source=event["source"], event_id=event["id"], type=event["type"],
        event=encode(event),
    )  # fmt: skip


def send(to: Place, *letters: Letter) -> None:
    async def all_of_them() -> None:
        sender = sender_of(to)
        try:
            for each in letters:
                await sender.send(each)
        finally:
            await sender.close()

    asyncio.run(all_of_them())


@modes
def test_redis_has_an_entry_per_event(redis_url: str, is_binary: bool) -> None:
    send(place(f"{redis_url}?stream=told&max-length=1000", is_binary), letter(1), letter(2))

    with redis.Redis.from_url(redis_url) as client:
        entries: Any = client.xrange("told")
    assert len(entries) == 2
    fields = {name.decode(): value for name, value in entries[0][1].items()}
    if is_binary:
        attributes = {f"ce-{name}": value.encode() for name, value in ATTRIBUTES.items()}
        assert fields == {**attributes, "content-type": b"application/json", "data": DATA}
    else:
        assert fields == {"event": encode(EVENT)}


def test_what_is_no_stream_fails_and_says_so(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("told", "something else")

    with pytest.raises(FailedError, match="WRONGTYPE"):
        send(place(f"{redis_url}?stream=told"), letter())


def test_a_redis_that_lets_nobody_in_is_away(redis_url: str) -> None:
    with pytest.raises(AwayError, match="Redis"):
        send(place(f"{redis_url}?stream=told", door={"username": "nobody", "password": "wrong"}), letter())


@pytest.fixture
def bound(rabbitmq_url: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """URL of an exchange and what takes a message from the queue that is bound to it."""
    from urllib.parse import unquote, urlsplit

    name, split = f"told-{uuid4()}", urlsplit(rabbitmq_url)
    connection = amqp.Connection(f"{split.hostname}:{split.port}", virtual_host=unquote(split.path[1:]) or "/")
    connection.connect()
    channel = connection.channel()
    channel.exchange_declare(name, "topic", auto_delete=False)
    channel.queue_declare(name, exclusive=True)
    channel.queue_bind(name, name, "com.acme.#")
    yield (
        f"amqp://{split.hostname}:{split.port}/{quote(unquote(split.path[1:]) or '/', safe='')}?exchange={name}",
        lambda: channel.basic_get(name, no_ack=True),
    )
    channel.exchange_delete(name)
    connection.close()


def body_of(message: Any) -> bytes:
    return message.body.encode() if isinstance(message.body, str) else bytes(message.body)


@modes
def test_rabbitmq_has_a_message_per_event_by_its_type(bound: tuple[str, Callable[[], Any]], is_binary: bool) -> None:
    url, take = bound

    send(place(url, is_binary), letter(1), letter(2))

    first, second, third = take(), take(), take()
    assert (third, body_of(second)) == (None, body_of(first))
    assert first.delivery_info["routing_key"] == "com.acme.told"
    assert first.properties["delivery_mode"] == 2
    if is_binary:
        assert first.properties["content_type"] == "application/json"
        headers = {f"cloudEvents:{name}": value for name, value in ATTRIBUTES.items()}
        assert first.properties["application_headers"] == headers
        assert body_of(first) == DATA
    else:
        assert (first.properties["content_type"], body_of(first)) == (STRUCTURED, encode(EVENT))


def test_what_no_queue_takes_fails_unless_that_may_be(bound: tuple[str, Callable[[], Any]]) -> None:
    url, take = bound
    lost = letter(event={**EVENT, "type": "org.other"})

    async def one_after_another() -> None:
        sender = sender_of(place(url))
        with pytest.raises(FailedError, match=r"NO_ROUTE.*bind a queue"):
            await sender.send(lost)
        await sender.send(letter())
        await sender.close()

    asyncio.run(one_after_another())
    send(place(f"{url}&mandatory=false"), lost)

    assert body_of(take()) == encode(EVENT)
    assert take() is None


def test_an_exchange_that_is_missing_is_no_success(bound: tuple[str, Callable[[], Any]]) -> None:
    with pytest.raises(amqp.NotFound):
        send(place(f"{bound[0]}-missing"), letter())


@modes
def test_nats_stores_each_event_once(nats_url: str, is_binary: bool) -> None:
    nats = pytest.importorskip("nats")
    subject = f"told.{uuid4()}"

    async def seen() -> list[Any]:
        client = await nats.connect(nats_url)
        stream = client.jetstream()
        await stream.add_stream(name=subject.replace(".", "-"), subjects=[subject])
        sender = sender_of(place(f"{nats_url}?subject={subject}", is_binary))
        again = letter(event={**EVENT, "id": "2"})
        for each in (letter(), letter(), again):
            await sender.send(each)
        await sender.close()
        reader = await stream.pull_subscribe(subject)
        found: list[Any] = await reader.fetch(3, timeout=1)
        await client.close()
        return found

    first, second = asyncio.run(seen())
    assert json.loads(second.data) != json.loads(first.data) or second.headers["ce-id"] == "2"
    if is_binary:
        assert (first.headers["content-type"], first.data) == ("application/json", DATA)
        assert (first.headers["ce-id"], first.headers["ce-subject"]) == ("%C3%A91", "a%20b")
    else:
        assert (first.headers["content-type"], first.data) == (STRUCTURED, encode(EVENT))


def test_a_subject_that_no_stream_takes_says_what_to_do(nats_url: str) -> None:
    pytest.importorskip("nats")
    url = f"{nats_url}?subject=nobody.{uuid4()}"

    with pytest.raises(AwayError, match="make one, or say jetstream=false"):
        send(place(url), letter())
    send(place(f"{url}&jetstream=false"), letter())


@modes
def test_mqtt_acknowledges_each_event(mqtt_url: str, is_binary: bool) -> None:
    mqtt = pytest.importorskip("paho.mqtt.client")
    topic, arrived, subscribed = f"told/{uuid4()}", queue.SimpleQueue[Any](), queue.SimpleQueue[Any]()
    address = read_address(f"{mqtt_url}?topic={topic}")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: arrived.put(message)
    client.on_subscribe = lambda *_: subscribed.put(True)
    client.connect(address.host, address.port)
    client.loop_start()
    client.subscribe(topic, 1)
    subscribed.get(timeout=10)

    send(place(address.url, is_binary), letter(1), letter(2))

    message = arrived.get(timeout=10)
    assert (arrived.get(timeout=10).payload, arrived.empty()) == (message.payload, True)
    client.disconnect()
    client.loop_stop()
    if is_binary:
        assert (message.properties.ContentType, message.payload) == ("application/json", DATA)
        assert dict(message.properties.UserProperty) == ATTRIBUTES
    else:
        assert (message.properties.ContentType, message.payload) == (STRUCTURED, encode(EVENT))


@pytest.mark.parametrize(
    "url", ["redis://{}?stream=x", "amqp://{}?exchange=x", "nats://{}?subject=x", "mqtt://{}?topic=x", "http://{}/"]
)
def test_where_nobody_answers_nothing_counts_as_sent(url: str) -> None:
    with pytest.raises(Exception, match=r"(?i)connect|refused") as raised:
        send(place(url.format(f"127.0.0.1:{free_port()}")), letter())

    assert not isinstance(raised.value, FailedError)


@pytest.mark.parametrize(("package", "url"), [("nats", "nats://h?subject=x"), ("paho", "mqtt://h?topic=x")])
def test_a_client_that_is_missing_is_named(package: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(AwayError, match=r"(nats-py|paho-mqtt) is not installed here: pip install"):
        send(place(url), letter())


@pytest.mark.parametrize(
    ("event", "content_type", "body"),
    [
        ({"data_base64": "AAH/"}, "", b"\x00\x01\xff"),
        ({"data_base64": "AAH/", "datacontenttype": "image/png"}, "image/png", b"\x00\x01\xff"),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, "text/xml", b"<a/>"),
        (
            {"data": "x", "datacontenttype": "application/json; charset=utf-8"},
            "application/json; charset=utf-8",
            b'"x"',
        ),
        ({"data": None}, "application/json", b"null"),
        ({}, "", b""),
    ],
)
def test_data_is_laid_out_by_its_type(event: dict[str, Any], content_type: str, body: bytes) -> None:
    from workers.sinks.layout import lay_out

    laid = lay_out(encode({**ATTRIBUTES, "count": 3, "urgent": True, **event}), is_binary=True)

    assert (laid.content_type, laid.body) == (content_type, body)
    assert laid.attributes == {**ATTRIBUTES, "count": "3", "urgent": "true"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/x", "ftp is nothing that events are sent to"),
        ("host/x", "no scheme"),
        ("https://", "names no host"),
        ("https://me:pw@host/", "name a secret as `credentials`"),
        ("https://host:99999/", "cannot be read"),
        ("https://host/a b", "no spaces"),
        ("redis://host", "say which stream"),
        ("redis://host/x?stream=s", "number of a database"),
        ("redis://host?stream=s&max-length=0", "max-length"),
        ("amqp://host", "name an exchange"),
        ("nats://host?subject=s&jetstream=no", "true or false"),
        ("mqtt://host?topic=t&qos=0", "there is no parameter qos; there are topic"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_what_to_do(url: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message) as raised:
        read_address(url)

    assert raised.value.errors[0]["pointer"] == "/url"
