"""What every broker's bridge does: it stores, then acknowledges, and keeps what is no event."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from lemline_site.config.bridges import address_of
from lemline_site.services import program as services
from lemline_site.services import redis as redis_service
from tests.waiting import wait_until
from tests.workers.bridges.brokers import Broker, KafkaBroker, MqttBroker, NatsBroker, RedisBroker, closing
from tests.workers.bridges.conftest import (
    ONE,
    STRUCTURED,
    await_received,
    bridge_of,
    events,
    ids,
    running,
    send,
)
from workers.bridges.lease import Lease
from workers.bridges.source import Message, Source
from workers.bridges.sources import maker_of
from workflows import models
from workflows.runtime import process


def test_events_are_received_in_order_and_acknowledged(stored: str, broker: Broker) -> None:
    names = [str(number) for number in range(120)]
    with running(broker.url):
        send(broker, *names)
        await_received(len(names))

    assert ids() == names
    assert broker.kept() in (0, None)
    row = models.Bridge.objects.get()
    assert (row.received, row.rejected, row.problem, row.held_until) == (120, 0, "", None)
    assert set(models.ReceivedEvent.objects.values_list("by", flat=True)) == {f"bridge/{row.name}"}


def test_binary_structured_and_batch_messages_are_read(stored: str, broker: Broker) -> None:
    with running(broker.url):
        broker.publish(
            b'{"price": 1.10}', "application/json", {f"{broker.prefix}{k}": v for k, v in _named("1").items()}
        )
        broker.publish(json.dumps(_named("2")).encode(), f"{STRUCTURED}; charset=utf-8")
        broker.publish(json.dumps([_named("3"), _named("4")]).encode(), "application/cloudevents-batch+json")
        broker.publish(json.dumps(_named("5")).encode())
        await_received(5)

    assert ids() == ["1", "2", "3", "4", "5"]
    first = models.ReceivedEvent.objects.order_by("pk")[0]
    assert b'"price":1.10' in bytes(first.event)
    assert {**events()[0], "data": None} == {**_named("1"), "datacontenttype": "application/json", "data": None}


def test_what_is_no_event_is_kept_with_the_reason_and_holds_up_nothing(stored: str, broker: Broker) -> None:
    with running(broker.url):
        broker.publish(b"{oops", STRUCTURED)
        broker.publish(b"hello", "text/plain")
        broker.publish(json.dumps({**ONE, "id": None, "data": 7}).encode(), STRUCTURED)
        broker.publish(b"{oops", STRUCTURED)
        send(broker, "after")
        await_received(1)

    assert ids() == ["after"]
    assert broker.kept() in (0, None)
    rows = models.RejectedMessage.objects.order_by("pk")
    assert [bytes(row.body) for row in rows][:2] == [b"{oops", b"hello"]
    assert "not JSON" in rows[0].reason
    assert "no CloudEvent" in rows[1].reason
    assert "/id: is missing" in rows[2].reason
    assert len(rows) == 3
    assert models.Bridge.objects.get().rejected == 4


class Forgetful:
    """A source whose process dies before it acknowledges."""

    def __init__(self, source: Source, died: list[int]) -> None:
        self.source = source
        self.died = died

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        if not self.died:
            self.died.append(len(messages))
            raise ConnectionError("it died between the commit and the acknowledgement")
        self.source.acknowledge(messages)


def test_what_was_stored_and_not_acknowledged_comes_again_and_is_known(stored: str, broker: Broker) -> None:
    died: list[int] = []
    make = maker_of(address_of(broker.url))
    with running(broker.url, lambda: Forgetful(make(), died)):
        send(broker, "1", "2", "3")
        wait_until(lambda: died)
        send(broker, "4")
        await_received(4)
        wait_until(lambda: broker.kept() in (0, None))

    assert sorted(ids()) == ["1", "2", "3", "4"]
    assert broker.kept() in (0, None)


def test_nothing_is_acknowledged_while_nothing_can_be_stored(
    stored: str, broker: Broker, configure: Callable[[dict[str, str]], None]
) -> None:
    configure({"lemline.event-processor.max-events": "1"})
    models.PendingEvent.objects.create(lane=0, event=2**40)
    with running(broker.url):
        send(broker, "1", "2")
        wait_until(lambda: "wait to be offered" in models.Bridge.objects.get().problem)

    assert (ids(), broker.kept()) in (([], 2), ([], None))
    models.PendingEvent.objects.all().delete()
    process.end()
    configure({"lemline.event-processor.max-events": "1000"})
    with running(broker.url):
        await_received(2)

    assert ids() == ["1", "2"]
    assert broker.kept() in (0, None)


def test_a_bridge_that_was_refused_goes_on_by_itself(
    stored: str, redis_url: str, configure: Callable[[dict[str, str]], None]
) -> None:
    configure({"lemline.event-processor.max-events": "1"})
    broker = RedisBroker(redis_url)
    models.PendingEvent.objects.create(lane=0, event=2**40)
    with running(broker.url):
        send(broker, "1")
        wait_until(lambda: "wait to be offered" in models.Bridge.objects.get().problem)
        assert broker.kept() == 1
        models.PendingEvent.objects.all().delete()
        await_received(1)
        wait_until(lambda: broker.kept() == 0)


def test_what_comes_while_no_bridge_runs_is_received_later(stored: str, broker: Broker) -> None:
    with running(broker.url):
        send(broker, "1")
        await_received(1)
    send(broker, "2", "3")
    with running(broker.url):
        await_received(3)

    assert ids() == ["1", "2", "3"]


def test_one_of_several_processes_takes_at_a_time(stored: str, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    first, second = bridge_of(broker.url), bridge_of(broker.url)
    first.start()
    assert first.is_open.wait(30)
    second.start()
    try:
        send(broker, *"abc")
        await_received(3)
        assert not second.is_open.is_set()
        first.stop()
        assert second.is_open.wait(30)
        send(broker, "d")
        await_received(4)
    finally:
        first.stop()
        second.stop()

    assert ids() == list("abcd")


def test_each_group_hears_of_everything_and_its_processes_share_it(stored: str, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    send(broker, *"abc")

    for group in ("billing", "shipping", "billing"):
        with running(f"{broker.url}&group={group}&name={group}"):
            wait_until(lambda group=group: progress(broker)[group] == (3, 0), lambda: progress(broker))

    assert ids() == list("abc")


def progress(broker: RedisBroker) -> dict[str, tuple[int, int]]:
    """Return by group how many were taken, and how many not acknowledged."""
    groups = broker.client.xinfo_groups(broker.stream)
    return {each["name"].decode(): (int(each["entries-read"] or 0), int(each["pending"])) for each in groups}


def test_a_lease_that_is_not_renewed_goes_to_another(stored: str) -> None:
    dead, heir = (Lease("b", name, process.current().clock.now, seconds=0.05) for name in ("dead", "heir"))

    assert dead.take()
    wait_until(heir.take, seconds=10)

    assert models.Bridge.objects.get().holder == "heir"


def test_a_broker_that_is_away_is_told_on_the_page_and_found_again(stored: str, servers: Path) -> None:
    program = redis_service.redis(servers / f"away{uuid4().hex}", is_durable=True)
    broker_url = f"{program.url}?stream=late"
    bridge = bridge_of(broker_url)
    bridge.start()
    try:
        wait_until(lambda: "ConnectionError" in models.Bridge.objects.get_or_create(name="redis:late")[0].problem)
        with services.running(program, servers / "away.log"):
            assert bridge.is_open.wait(60)
            wait_until(lambda: models.Bridge.objects.get().problem == "", seconds=30)
    finally:
        bridge.stop()


def test_a_subject_without_a_stream_is_taken_as_it_comes(stored: str, nats_url: str) -> None:
    with closing(NatsBroker(nats_url, is_kept=False)) as broker, running(broker.url):
        send(broker, *"abc")
        broker.publish(b"x", "text/plain", {f"ce-{name}": text for name, text in {**ONE, "id": "d%20e"}.items()})
        await_received(4)

    assert ids() == ["a", "b", "c", "d e"]


def test_kafkas_messages_are_read_in_order_and_committed(stored: str) -> None:
    broker = KafkaBroker()
    with running(broker.url):
        broker.publish(b"{oops", STRUCTURED)
        send(broker, *"abc")
        broker.publish(b"[1.10]", "application/json", {f"ce_{name}": text for name, text in _named("d").items()})
        await_received(4)
        wait_until(lambda: broker.kept() == 0, broker.kept, 30)

    assert ids() == list("abcd")
    assert events()[3]["datacontenttype"] == "application/json"
    assert models.RejectedMessage.objects.get().place.startswith(broker.topic)


def test_a_server_of_mqtt_3_keeps_the_session_too(stored: str, mqtt_url: str) -> None:
    with closing(MqttBroker(mqtt_url, version="3")) as broker:
        with running(broker.url):
            send(broker, "1")
            await_received(1)
        send(broker, "2")
        with running(broker.url):
            await_received(2)

    assert ids() == ["1", "2"]


def test_of_a_message_that_was_trimmed_its_place_is_kept(stored: str, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    broker.client.xgroup_create(broker.stream, "lemline", id="0", mkstream=True)
    send(broker, "1")
    broker.client.xreadgroup("lemline", "lemline", {broker.stream: ">"})
    broker.client.xtrim(broker.stream, maxlen=0)
    with running(broker.url):
        send(broker, "2")
        await_received(1)
        wait_until(lambda: broker.kept() == 0)

    assert ids() == ["2"]
    assert models.RejectedMessage.objects.count() == 1


def _named(name: str) -> dict[str, str]:
    return {**ONE, "id": name}
