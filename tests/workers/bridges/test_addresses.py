"""URLs of bridges, and what is said to those that cannot be."""

import sys
from collections.abc import Callable

import pytest
from django.conf import settings

from lemline_site.config.bridges import address_of, addresses_of
from lemline_site.config.rules import mistakes
from workers.bridges.sources import maker_of
from workflows.runtime.errors import InvalidRequestError


def test_a_url_says_all_there_is_to_know() -> None:
    address = address_of("amqps://me:p%40ss@mq.example.com/%2Fshop?queue=orders&exchange=events&namespace=shop")

    assert (address.scheme, address.is_encrypted, address.host, address.port) == ("amqp", True, "mq.example.com", 5671)
    assert (address.user, address.password, address.path) == ("me", "p@ss", "/shop")
    assert dict(address.parameters)["routing-key"] == "#"
    assert (address["queue"], address["exchange"]) == ("orders", "events")
    assert (address.name, address.namespace) == ("amqp:orders", "shop")


@pytest.mark.parametrize("written", ["orders/+/#", "orders/%2B/%23"])
def test_wildcards_of_mqtt_need_no_escape(written: str) -> None:
    assert address_of(f"mqtt://host?topic={written}")["topic"] == "orders/+/#"


WRONG = [
    ("ftp://host?stream=s", "ftp is no broker that is known; there are redis://, amqp://, nats://, mqtt://, kafka://"),
    ("orders", "no scheme is no broker that is known"),
    ("redis://?stream=s", "it names no host; write redis://host:6379?"),
    ("redis://host", "say which stream to take from, ?stream="),
    ("redis://host?stream=", "say which stream to take from"),
    ("redis://host?topic=s", "there is no parameter topic; there are stream, group, name, namespace"),
    ("redis://host:70000?stream=s", "Port out of range"),
    ("redis://host/nine?stream=s", "a database of Redis is a number"),
    ("mqtt://host?topic=t&version=4", "version is 3 or 5"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is looked at)
        address_of(text)

    assert message in str(caught.value)


def test_a_mistake_shows_no_password() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is looked at)
        address_of("redis://me:secret@host")

    assert "secret" not in str(caught.value)


def test_a_mistake_is_one_of_the_configuration(configure: Callable[[dict[str, str]], None]) -> None:
    configure({"lemline.events.bridges": "redis://host"})

    [told] = mistakes(settings.LEMLINE)

    assert told.startswith("lemline.events.bridges: redis://host: say which stream to take from")


def test_the_group_is_the_configured_one_unless_the_url_names_another() -> None:
    redis, nats, rabbit = addresses_of(
        ("redis://a?stream=s&group=own", "nats://a?subject=s", "amqp://a?queue=q"), "billing"
    )

    assert (redis["group"], nats["group"], nats["durable"]) == ("own", "billing", "billing")
    assert "group" not in rabbit.parameters


def test_two_bridges_of_the_same_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"more than one is called redis:s; give them names, &name="):
        addresses_of(("redis://a?stream=s", "redis://b?stream=s"))

    assert len(addresses_of(("redis://a?stream=s", "redis://b?stream=s&name=b"))) == 2


@pytest.mark.parametrize(
    ("scheme", "needs", "package", "module"),
    [
        ("nats", "subject", "nats-py", "nats"),
        ("mqtt", "topic", "paho-mqtt", "paho.mqtt.client"),
        ("kafka", "topic", "confluent-kafka", "confluent_kafka"),
    ],
)
def test_a_client_that_is_not_installed_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, scheme: str, needs: str, package: str, module: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"workers.bridges.{scheme}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(InvalidRequestError, match=f"needs {package}: pip install -r requirements-events.txt"):
        maker_of(address_of(f"{scheme}://host?{needs}=x"))
