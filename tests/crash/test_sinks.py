"""Couriers are killed wherever a delivery stands, and the sink is away for a while: each event arrives, in order."""

from collections.abc import Iterator
from typing import Any

import pytest

from lemline_site.services.program import free_port
from tests.crash.conftest import Open
from tests.crash.harness import NAMESPACE, SERVED, Installation
from tests.receivers import Receiver, receiving
from workflows.models import OutgoingEvent

PLACES = ("holding", "looking", "sending", "settling", "stored")
ROLES = ("events", "events-two")
INSTANCES, EVENTS = 5, 5

DATA = {"instance": "${ $workflow.id }", "number": "${ $n }"}
EMIT = {"tell": {"emit": {"event": {"with": {"source": "https://crash.example", "type": "counted", "data": DATA}}}}}
COUNT = [{"count": {"for": {"each": "n", "in": f"${{ [range({EVENTS})] }}"}, "do": [EMIT]}}]


@pytest.fixture(scope="module")
def installation(open_installation: Open, database: str, redis_urls: tuple[str, str]) -> Iterator[Installation]:
    """With a process that sends."""
    broker, cache = redis_urls
    commands = {**SERVED, "events": ("manage.py", "lemline", "worker", "--roles", "events")}
    with open_installation(database, commands, BROKER_URL=broker, CACHE_URL=cache) as opened:
        yield opened


def add_sink(installation: Installation, name: str, url: str) -> None:
    installation.ask("POST", "/sinks", {"name": name, "url": url, "namespace": NAMESPACE})


def told_by(receiver: Receiver, path: str, instance: str) -> list[Any]:
    events = [got.event for got in receiver.got if got.path == path]
    return [(event["data"]["number"], event["id"]) for event in events if event["data"]["instance"] == instance]


def test_no_kill_loses_an_event_or_sends_one_before_its_time(installation: Installation) -> None:
    installation.register("tells", COUNT)
    names: list[str] = []

    def start() -> None:
        names.extend(installation.start("tells", {}) for _ in range(INSTANCES))

    with receiving() as receiver, installation.another("events", "two"):
        add_sink(installation, "out", receiver.url)
        add_sink(installation, "lost", f"http://127.0.0.1:{free_port()}/")
        for place in PLACES:
            for role in ROLES:
                installation.arm(place, role, "any")
            start()
            installation.wait(lambda: len(installation.armed()) < len(ROLES), installation.armed)
            installation.disarm()
        receiver.answer = lambda _: 503
        start()
        every = len(names) * EVENTS
        # Whoever is away holds up no instance.
        installation.await_end(*names)
        receiver.answer = lambda _: 204
        installation.wait(lambda: OutgoingEvent.objects.count() == every, OutgoingEvent.objects.count)
        installation.ask("PUT", "/sinks/lost", {"url": f"{receiver.url}/found", "namespace": NAMESPACE})
        installation.wait(lambda: not OutgoingEvent.objects.exists(), OutgoingEvent.objects.count)

    for path in ("/events", "/events/found"):
        for name in names:
            # What came twice has its place where it came first.
            told = dict.fromkeys(told_by(receiver, path, name))
            assert [number for number, _ in told] == list(range(EVENTS))
