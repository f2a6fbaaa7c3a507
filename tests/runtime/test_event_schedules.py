"""Starts by events: each event once, whoever offers it and however often; gatherings by what their events share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.runtimes import Beside, Runtime
from tests.schedules import instances, schedule
from workflows import models
from workflows.dsl.jsontext import decode
from workflows.runtime.event_schedules import EventSchedules, Offer
from workflows.runtime.firing import Firing
from workflows.runtime.gatherings import Event, Heard

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ON = "schedule: {on: {one: {with: {type: a}}}}"


@dataclass(frozen=True)
class Wanted:
    """A strategy that wants one event of each type, or one of any, those of one order together."""

    types: tuple[str, ...]
    by_order: bool = False
    is_keyed: bool = False

    def hear(self, state: Any, event: Event) -> Heard:
        held = list(state or [])
        fits = event["type"] in self.types and event["type"] not in {each["type"] for each in held}
        if not fits or (self.by_order and held and held[0]["data"] != event["data"]):
            return Heard(state, took=False)
        held.append(dict(event))
        return Heard(held, took=True, done=len(held) == len(self.types))

    def events(self, state: Any) -> list[Event]:
        return list(state)

    def bound_by(self, event: Event) -> Mapping[str, Any] | None:
        return {"order": event["data"]} if self.is_keyed else None


def event(identifier: str, kind: str = "a", order: int = 0) -> dict[str, Any]:
    return {"specversion": "1.0", "id": identifier, "source": "https://example.com", "type": kind, "data": order}


def listening(runtime: Runtime, wanted: Wanted) -> Callable[..., int]:
    """Register a schedule by events; returns what offers it some, together."""
    row = schedule(ON, NOON)
    assert row is not None
    events = EventSchedules(Firing(runtime.process), lambda _: wanted)

    def offer(*given: Mapping[str, Any]) -> int:
        started = events.hear([Offer(schedule=row.pk, event=each) for each in given], NOON)
        runtime.settle()
        return started

    return offer


def inputs() -> list[list[str]]:
    """Return the ids of the events that each instance was started with."""
    return [[each["id"] for each in decode(bytes(row.input))] for row in instances()]


def test_each_event_that_is_wanted_starts_one_with_itself_as_input(runtime: Runtime) -> None:
    offer = listening(runtime, Wanted(("a",)))

    assert offer(event("1"), event("2", "b"), event("3")) == 2

    assert inputs() == [["1"], ["3"]]
    assert {row.status for row in instances()} == {"completed"}
    row = models.Schedule.objects.get()
    assert (row.fires, row.fired_at, row.due_at) == (2, NOON, None)


def test_an_event_that_is_offered_again_changes_nothing(runtime: Runtime) -> None:
    offer = listening(runtime, Wanted(("a", "b")))

    assert offer(event("1"), event("1")) == 0
    assert offer(event("1")) == 0
    assert offer(event("2", "b")) == 1
    # Its gathering is complete and gone: it must not begin another one.
    assert offer(event("1"), event("2", "b")) == 0

    assert inputs() == [["1", "2"]]
    assert not models.Gathering.objects.exists()


@pytest.mark.parametrize("is_keyed", [True, False])
def test_events_of_one_order_are_gathered_together(runtime: Runtime, is_keyed: bool) -> None:
    offer = listening(runtime, Wanted(("a", "b"), by_order=True, is_keyed=is_keyed))

    offer(event("1", "a", 1), event("2", "a", 2))
    offer(event("3", "b", 2))
    offer(event("4", "b", 1), event("5", "b", 3))

    assert inputs() == [["2", "3"], ["1", "4"]]
    assert models.Gathering.objects.count() == 1


def test_an_event_goes_to_the_oldest_that_takes_it(runtime: Runtime) -> None:
    offer = listening(runtime, Wanted(("a", "b")))

    offer(event("1"))
    offer(event("2"))
    offer(event("3", "b"), event("4", "b"))

    assert inputs() == [["1", "3"], ["2", "4"]]


def test_what_is_offered_while_it_is_paused_or_gone_is_not_taken(runtime: Runtime) -> None:
    offer = listening(runtime, Wanted(("a",)))
    models.Schedule.objects.update(paused_at=NOON)
    assert offer(event("1")) == 0
    models.Schedule.objects.update(paused_at=None)

    assert offer(event("1")) == 1
    models.Schedule.objects.all().delete()
    assert offer(event("2")) == 0


def test_a_death_before_the_commit_leaves_nothing(runtime: Runtime) -> None:
    offer = listening(runtime, Wanted(("a", "b")))
    offer(event("1"))

    def die(*_: object) -> None:
        raise MemoryError("killed")

    runtime.records.after["write"] = die
    with pytest.raises(MemoryError):
        offer(event("2", "b"))
    del runtime.records.after["write"]

    assert (instances(), models.Gathering.objects.count(), models.HeardEvent.objects.count()) == ([], 1, 1)
    assert offer(event("2", "b")) == 1
    assert inputs() == [["1", "2"]]


def test_two_processors_that_offer_the_same_events_at_once_start_one_of_each(
    database: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    row = schedule(ON, NOON)
    assert row is not None
    wanted = Wanted(("a", "b"), by_order=True, is_keyed=True)

    def offer(runtime: Runtime) -> None:
        events = EventSchedules(Firing(runtime.process), lambda _: wanted)
        for number in range(10):
            for kind in "ab":
                events.hear([Offer(schedule=row.pk, event=event(f"{kind}{number}", kind, number))], NOON)

    for future in [beside.run(offer, new_runtime()) for _ in range(3)]:
        future.result()

    assert sorted(inputs()) == [[f"a{number}", f"b{number}"] for number in range(10)]
