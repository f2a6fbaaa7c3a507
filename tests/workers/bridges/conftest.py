"""Real brokers, and bridges that run in this process."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lemline_site.config.bridges import address_of
from tests.waiting import wait_until
from tests.workers.bridges.brokers import (
    Broker,
    MqttBroker,
    NatsBroker,
    RabbitBroker,
    RedisBroker,
    closing,
)
from workers.bridges import bridge as bridge_module
from workers.bridges.bridge import Bridge
from workers.bridges.lease import Lease
from workers.bridges.source import Source
from workers.bridges.sources import maker_of
from workflows import models
from workflows.dsl.jsontext import decode
from workflows.runtime import process

ONE = {"specversion": "1.0", "source": "/orders", "type": "order.placed"}
STRUCTURED = "application/cloudevents+json"

MAKERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "redis": ("redis_url", RedisBroker),
    "rabbitmq": ("rabbitmq_url", RabbitBroker),
    "jetstream": ("nats_url", lambda url: NatsBroker(url, is_kept=True)),
    "mqtt": ("mqtt_url", MqttBroker),
}


@pytest.fixture(params=MAKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each broker that keeps what is not acknowledged."""
    fixture, make = MAKERS[request.param]
    with closing(make(request.getfixturevalue(fixture))) as made:
        yield made


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge that is told to stop looks no second longer."""
    monkeypatch.setattr(bridge_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(bridge_module, "LONGEST_PAUSE_SECONDS", 0.1)


@pytest.fixture
def stored(postgresql: str) -> Iterator[str]:
    """An empty database, and a runtime that stores to it."""
    yield postgresql
    process.end()


def bridge_of(url: str, make: Callable[[], Source] | None = None, seconds: float = 15.0) -> Bridge:
    """Return a bridge that does not run yet."""
    address = address_of(url)
    lease = Lease(address.name, "tests", process.current().clock.now, seconds)
    lease.look_seconds = 0.05
    return Bridge(address.name, address.namespace, make or maker_of(address), lease)


@contextmanager
def running(url: str, make: Callable[[], Source] | None = None) -> Iterator[Bridge]:
    """Have a bridge take for the length of a block."""
    bridge = bridge_of(url, make)
    bridge.start()
    try:
        # Only now does a new group, a session or a binding exist.
        assert bridge.is_open.wait(30), models.Bridge.objects.get().problem
        yield bridge
    finally:
        bridge.stop()


def send(broker: Broker, *ids: str) -> None:
    """Publish structured events."""
    for each in ids:
        broker.publish(json.dumps({**ONE, "id": each}).encode(), STRUCTURED)


def ids() -> list[str]:
    """Return the ids of what was received, in order."""
    return list(models.ReceivedEvent.objects.order_by("pk").values_list("event_id", flat=True))


def events() -> list[Any]:
    """Return what was received, in order."""
    return [decode(bytes(row.event)) for row in models.ReceivedEvent.objects.order_by("pk")]


def await_received(count: int) -> None:
    """Wait until so many were."""
    wait_until(lambda: models.ReceivedEvent.objects.count() >= count, ids, 30)
