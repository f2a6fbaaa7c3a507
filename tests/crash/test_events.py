"""Processes that offer events are killed wherever one stands: each listener has each of its events once, in order."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.crash.conftest import Open
from tests.crash.harness import NAMESPACE, SERVED, Commands, Installation
from workflows import models

LISTENERS, EACH, SOURCES = 100, 10, 20
PLACES = ("held", "saving", "committed", "offered", "written", "behind")
COMMANDS: Commands = {
    "web": SERVED["web"],
    "compute": SERVED["compute"],
    "maintenance": SERVED["maintenance"],
    "events": ("manage.py", "lemline", "worker", "--roles", "events"),
}
PROCESSES = ("events", "events-two")


@pytest.fixture(scope="module")
def installation(open_installation: Open, database: str, redis_urls: tuple[str, str]) -> Iterator[Installation]:
    broker, cache = redis_urls
    with (
        open_installation(database, COMMANDS, BROKER_URL=broker, CACHE_URL=cache) as opened,
        opened.another("events", "two"),
    ):
        yield opened


def event(key: int, number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"{key}-{number}", "source": f"/crash/{key % SOURCES}", "type": "crash.counted",
        "data": {"key": key, "number": number},
    }  # fmt: skip


def test_no_kill_loses_an_event_or_has_one_heard_twice_or_out_of_order(installation: Installation) -> None:
    counted = {"with": {"type": "crash.counted"}, "correlate": {"key": {"from": ".data.key", "expect": "${ .key }"}}}
    hear = {"listen": {"to": {"any": [counted], "until": f". | length >= {EACH}"}}}
    installation.register("hears", [{"hear": hear}])
    early, late = range(LISTENERS // 2), range(LISTENERS // 2, LISTENERS)
    instances = {key: installation.start("hears", {"key": key}) for key in early}

    kills = iter(PLACES * 2)
    for number in range(EACH):
        for half in (early, late):
            place = next(kills, None) if half is early or number > EACH // 2 else None
            if place is not None:
                for role in PROCESSES:
                    installation.arm(place, role, "any")
            installation.wait(partial(accepted, installation, [event(key, number) for key in half]))
            if number == EACH // 2 and half is late:
                instances |= {key: installation.start("hears", {"key": key}) for key in late}
            if place is not None:
                begin_another(installation)
                installation.wait(lambda: len(installation.armed()) < len(PROCESSES), installation.armed)
                installation.disarm()

    endings = installation.await_end(*instances.values())
    for key, ending in zip(instances, endings, strict=True):
        assert ending.status == "completed"
        assert [each["number"] for each in ending.output] == list(range(EACH)), key
    installation.wait(lambda: not models.PendingEvent.objects.exists())
    mine = models.Subscription.objects.filter(instance__in=instances.values())
    assert not mine.exists()
    assert next(kills, None) is None


def accepted(installation: Installation, given: list[dict[str, Any]]) -> bool:
    """Send events until the server says that it has them."""
    kind = "application/cloudevents-batch+json"
    try:
        installation.ask("POST", f"/events?namespace={NAMESPACE}", given, kind)
    except OSError:
        return False
    return True


def begin_another(installation: Installation) -> None:
    """Have somebody listen for what never comes, so that there is something to look back for."""
    installation.start("hears", {"key": -1})
