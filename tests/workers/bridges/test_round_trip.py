"""What our sinks send, our bridges read as what it was."""

import asyncio
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.workers.bridges.brokers import Broker, MqttBroker, NatsBroker, RabbitBroker, RedisBroker
from tests.workers.bridges.conftest import await_received, events, running
from workers.sinks.places import sender_of
from workers.sinks.sender import Place
from workflows.dsl.jsontext import encode
from workflows.runtime.deliveries import Letter
from workflows.runtime.sink_address import read_address

NAMES = {"specversion": "1.0", "source": "/größe/a b", "type": "order.placed", "subject": '50 % "off"', "tries": "3"}
EVENTS: list[dict[str, Any]] = [
    {**NAMES, "id": "json", "datacontenttype": "application/json", "data": {"price": 1, "z": [None, "ü"]}},
    {**NAMES, "id": "text", "datacontenttype": "text/plain", "data": "hällo"},
    {**NAMES, "id": "bytes", "datacontenttype": "image/png", "data_base64": "iVBORw=="},
    {**NAMES, "id": "nothing", "time": "2026-01-31T12:00:00.123Z"},
]


def address_of(broker: Broker) -> str:
    at = urlsplit(broker.url)
    server = f"{at.scheme}://{at.netloc.rpartition('@')[2]}"
    match broker:
        case RedisBroker():
            return f"{server}{at.path}?stream={broker.stream}"
        case RabbitBroker():
            return f"{server}/%2F?exchange={broker.queue}&routing-key=orders.placed"
        case NatsBroker():
            return f"{server}?subject={broker.name}.placed"
        case MqttBroker():
            return f"{server}?topic={broker.topic}/placed"
    raise AssertionError(broker)


@pytest.mark.parametrize("is_binary", [False, True], ids=["structured", "binary"])
def test_a_round_trip_changes_nothing(stored: str, broker: Broker, is_binary: bool) -> None:
    place = Place(
        address=read_address(address_of(broker)), is_binary=is_binary, secret="", credentials="login",
        read_secret=lambda _: "guest:guest" if isinstance(broker, RabbitBroker) else ":", timeout_seconds=10.0,
        user_agent="tests", private_addresses=("loopback",),
    )  # fmt: skip

    async def send() -> None:
        sender = sender_of(place)
        for event in EVENTS:
            await sender.send(
                Letter(id=1, instance=uuid4(), attempts=0, source=event["source"], event_id=event["id"],
                       type=event["type"], event=encode(event))
            )  # fmt: skip
        await sender.close()

    with running(broker.url):
        asyncio.run(send())
        await_received(len(EVENTS))

    assert events() == EVENTS
