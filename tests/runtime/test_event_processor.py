"""Received events are offered to all whom they concern, once each has its own."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.runtimes import Beside, Runtime
from workflows import models
from workflows.engine.correlation import Pattern
from workflows.runtime import events, subscriptions
from workflows.runtime import process as processes
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.event_rows import LANES
from workflows.runtime.event_schedules import Offer
from workflows.runtime.lane_shares import LaneShares
from workflows.runtime.process import Process


class Schedules:
    """What schedules were offered."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, str]] = []
        self.failing: set[int] = set()

    def hear(self, offers: Sequence[Offer], now: datetime) -> None:
        if any(offer.schedule in self.failing for offer in offers):
            raise ValueError("this cannot be gathered")
        self.heard += [(offer.schedule, str(offer.event["id"])) for offer in offers]


@pytest.fixture
def schedules() -> Schedules:
    return Schedules()


@pytest.fixture
def processor(runtime: Runtime, schedules: Schedules, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventProcessor]:
    """The runtime's processor; the runtime is this process's own."""
    monkeypatch.setattr(processes, "_current", runtime.process)
    made = EventProcessor(runtime.process, 0, schedules.hear)
    yield made
    made.stop()


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"{number}", "source": "/tests", "type": "t", "data": {"n": number}, **more}


def receive(*given: dict[str, Any]) -> None:
    events.receive(given, namespace="default", by="ada")


def subscribe(schedule: int, *patterns: Pattern, since: datetime | None = None) -> None:
    subscriptions.subscribe_schedule(schedule, patterns, "", since or timezone.now() - timedelta(minutes=1))


def test_a_schedule_is_offered_what_fits_it_in_order_and_nothing_else(
    processor: EventProcessor, schedules: Schedules
) -> None:
    subscribe(1, Pattern(type="t", equal={"subject": "a"}))
    subscribe(2, Pattern(type="t"), Pattern(source="/tests"))
    receive(event(1, subject="a"), event(2, subject="b"), event(3, type="u"), event(4, type="u", source="/else"))

    assert processor.look()

    assert sorted(schedules.heard) == [(1, "1"), (2, "1"), (2, "2"), (2, "3")]
    assert not models.PendingEvent.objects.exists()
    assert not processor.look()


def test_a_schedule_that_fails_keeps_no_event_from_others(processor: EventProcessor, schedules: Schedules) -> None:
    subscribe(1, Pattern(type="t"))
    subscribe(2, Pattern(type="t"))
    schedules.failing = {1}
    receive(event(1))

    processor.look()

    assert schedules.heard == [(2, "1")]
    assert not models.PendingEvent.objects.exists()


def test_a_schedule_is_offered_nothing_older_and_nothing_once_it_is_gone(
    processor: EventProcessor, schedules: Schedules
) -> None:
    subscribe(1, Pattern(type="t"), since=timezone.now() + timedelta(minutes=1))
    subscribe(2, Pattern(type="t"))
    subscriptions.unsubscribe_schedule(2)
    receive(event(1))

    processor.look()

    assert not schedules.heard


@pytest.mark.parametrize("strategy", ["COMPETING_CONSUMERS", "PARTITIONED"])
def test_consumers_share_the_events(
    processor: EventProcessor,
    schedules: Schedules,
    other: Runtime,
    beside: Beside,
    strategy: str,
    postgresql_only: None,
) -> None:
    """Of two consumers each takes some, and each event is taken once."""
    second = EventProcessor(other.process, 0, schedules.hear)
    if strategy == "PARTITIONED":
        orders = shared(processor._process, other.process)
        processor._order, second._order = orders
    subscribe(1, Pattern(type="t"))
    receive(*(event(number, source=f"/{number}") for number in range(100)))

    taking = [beside.run(take_all, each) for each in (processor, second)]
    for each in taking:
        each.result(20)
    second.stop()

    assert processor.offered + second.offered == 100
    assert sorted(int(number) for _, number in schedules.heard) == list(range(100))


def take_all(processor: EventProcessor) -> None:
    while models.PendingEvent.objects.exists():
        processor.look()


def shared(*processes: Process) -> list[LaneShares]:
    """Have all of them be known to live, and return which lanes each takes from."""
    now = timezone.now()
    for each in processes:
        each.presence.roles = "events"
        each.presence.horizon = lambda: now - timedelta(seconds=30)
        models.Node.objects.create(
            id=each.presence.id, name=each.presence.name, roles="events", started_at=now, seen_at=now
        )
    return [LaneShares(each.presence) for each in processes]


def test_partitioned_lanes_belong_to_one_living_process_each_and_move_only_from_the_dead(
    runtime: Runtime, other: Runtime, new_runtime: Callable[[], Runtime]
) -> None:
    third = new_runtime()
    first_lanes, second_lanes, third_lanes = (
        set(each()) for each in shared(runtime.process, other.process, third.process)
    )

    assert first_lanes | second_lanes | third_lanes == set(range(LANES))
    assert len(first_lanes) + len(second_lanes) + len(third_lanes) == LANES
    models.Node.objects.filter(pk=third.process.presence.id).update(seen_at=timezone.now() - timedelta(minutes=1))
    runtime.process.presence.horizon = other.process.presence.horizon
    after = [set(LaneShares(each.process.presence)()) for each in (runtime, other)]
    assert after[0] | after[1] == set(range(LANES))
    assert first_lanes <= after[0]
    assert second_lanes <= after[1]
