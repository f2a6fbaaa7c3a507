"""Races of events: rows 21 and 22 of docs/architecture.md, part 4. Row 23 is in `test_event_schedules`."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from tests.runtimes import (
    Beside,
    Gate,
    Runtime,
    define,
    lost,
    output_of,
    state_of,
    status_of,
)
from workflows import models
from workflows.engine import facts
from workflows.runtime import event_processor, events, look_backs
from workflows.runtime import process as processes
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.event_rows import lane_of
from workflows.runtime.records import UnreachableError
from workflows.runtime.retention import configured, removals

ALL = "do: [{hear: {listen: {to: {any: [{with: {type: t}}], until: '. | length >= 3'}, read: envelope}}}]"
"""Takes three, of whatever comes."""

ORDER = (
    "do: [{hear: {listen: {to: {any: [{with: {type: t}, correlate: {order:"
    " {from: .data.order, expect: '${ .order }'}}}], until: '. | length >= 3'}, read: envelope}}}]"
)
"""Takes three of its order."""


class Offers:
    """A process that offers events when it is told to; its stepper runs in a thread."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.processor = EventProcessor(runtime.process, 0, lambda *_: None)
        runtime.stepper.start()

    def all(self) -> None:
        """Offer until nothing waits."""
        while self.processor.look():
            pass


@pytest.fixture
def offering(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Offers]:
    """The runtime, which is this process's own, offers."""
    monkeypatch.setattr(processes, "_current", runtime.process)
    made = Offers(runtime)
    yield made
    made.processor.stop()


@pytest.fixture
def elsewhere(other: Runtime) -> Iterator[Offers]:
    """So does another process."""
    made = Offers(other)
    yield made
    made.processor.stop()


def event(number: int, order: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"{number}", "source": "/tests", "type": "t", "data": {"n": number, "order": order},
        **more,
    }  # fmt: skip


def receive(*given: dict[str, Any]) -> None:
    events.receive(given, namespace="default", by="ada")


def begin(offers: Offers, input: Any = None, name: str = "played") -> str:
    """Begin an instance in a process whose stepper runs."""
    birth = offers.runtime.birth(name, input)
    done = Gate()
    offers.runtime.stepper.begin(birth, lambda _: done.open())
    assert done._opened.wait(20)
    return birth.instance_id


def heard(instance: str) -> list[str]:
    return [each["id"] for each in output_of(instance)]


def open_listeners() -> int:
    return models.Subscription.objects.count()


def test_listeners_take_what_is_theirs_in_order_and_are_gone_with_the_last(offering: Offers) -> None:
    define(ORDER)
    first, second = begin(offering, {"order": 1}), begin(offering, {"order": 2})
    assert open_listeners() == 2

    receive(*(event(number, order=number % 2 + 1) for number in range(6)))
    offering.all()

    assert (heard(first), heard(second)) == (["0", "2", "4"], ["1", "3", "5"])
    assert (open_listeners(), models.LookBack.objects.count(), models.PendingEvent.objects.count()) == (0, 0, 0)


def test_what_came_before_a_correlated_listener_is_offered_to_it_first_and_in_order(offering: Offers) -> None:
    define(ORDER)
    begin(offering, {"order": 9})
    receive(event(1), event(2))
    offering.all()
    receive(event(3))

    instance = begin(offering, {"order": 1})
    offering.all()

    assert heard(instance) == ["1", "2", "3"]


def test_what_came_before_the_first_listener_of_its_sort_is_found_too(offering: Offers) -> None:
    define(ORDER)
    receive(event(1), event(2, type="u"), event(3), event(4, order=2), event(5))
    offering.all()

    instance = begin(offering, {"order": 1})
    offering.all()

    assert heard(instance) == ["1", "3", "5"]


def test_a_long_look_back_is_written_down_in_between(offering: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    define(ORDER)
    begin(offering, {"order": 9})
    receive(*(event(number, order=1 if number in (0, 7, 9) else 2) for number in range(10)))
    offering.all()
    monkeypatch.setattr(look_backs, "PAGE", 2)
    monkeypatch.setattr(look_backs, "PAGES", 2)
    define(ORDER.replace("3'", "7'"), name="longer")

    first, second = begin(offering, {"order": 1}), begin(offering, {"order": 2}, name="longer")
    assert offering.processor.look()
    assert models.LookBack.objects.filter(after__gt=0).count() == 2
    offering.all()

    assert heard(first) == ["0", "7", "9"]
    assert heard(second) == ["1", "2", "3", "4", "5", "6", "8"]
    assert not models.LookBack.objects.exists()


def test_a_listener_without_correlation_hears_nothing_from_before(offering: Offers) -> None:
    define(ALL)
    receive(event(1))
    offering.all()

    instance = begin(offering)
    offering.all()
    receive(event(2), event(3))
    offering.all()
    assert status_of(instance) == "waiting"
    receive(event(4))
    offering.all()

    assert heard(instance) == ["2", "3", "4"]


@pytest.mark.parametrize("body", [ALL, ORDER])
def test_21_an_event_that_is_offered_while_its_listener_is_being_stored_is_not_lost(
    offering: Offers, elsewhere: Offers, beside: Beside, body: str, postgresql_only: None
) -> None:
    """The event is done before the listener is seen, and accepted after it began."""
    define(body)
    gate = Gate()
    elsewhere.runtime.records.before["save"] = gate
    beginning = beside.run(begin, elsewhere, {"order": 1})
    gate.await_arrival()
    receive(event(1))
    offering.all()
    assert not models.PendingEvent.objects.exists()
    gate.open()
    instance = beginning.result(20)

    receive(event(2), event(3))
    offering.all()

    assert heard(instance) == ["1", "2", "3"]


def test_21_a_listener_that_is_stored_while_an_event_is_in_hand_is_not_overlooked(
    offering: Offers, elsewhere: Offers, beside: Beside, postgresql_only: None
) -> None:
    """Whoever has the event in hand has looked for listeners already."""
    define(ALL)
    busy = begin(offering)
    define(ORDER, version="2.0.0")
    gate = Gate()
    offering.runtime.records.before["save"] = gate
    receive(event(1))
    working = beside.run(offering.all)
    gate.await_arrival()
    del offering.runtime.records.before["save"]

    instance = begin(elsewhere, {"order": 1})
    looking = beside.run(elsewhere.all)
    gate.open()
    working.result(20)
    looking.result(20)
    receive(event(2), event(3))
    offering.all()

    assert heard(busy) == ["1", "2", "3"]
    assert heard(instance) == ["1", "2", "3"]


def test_21_whoever_dies_before_it_has_looked_back_leaves_that_to_others(offering: Offers, elsewhere: Offers) -> None:
    define(ORDER)
    receive(event(1))
    offering.all()

    instance = begin(elsewhere, {"order": 1})
    receive(event(2))
    # Nobody was told, and the event is found first.
    with offering.processor._lanes.hold(lambda: [lane_of("/tests")]):
        pass
    offering.all()
    receive(event(3))
    offering.all()

    assert heard(instance) == ["1", "2", "3"]


def test_22_an_event_whose_offer_was_cut_off_is_offered_again_and_taken_once(offering: Offers) -> None:
    define(ORDER)
    instance = begin(offering, {"order": 1})
    receive(event(1), event(2))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(event_processor, "finish", lost)
        with pytest.raises(UnreachableError):
            offering.processor.look()
    assert models.PendingEvent.objects.count() == 2
    offering.all()
    receive(event(3))
    offering.all()

    assert heard(instance) == ["1", "2", "3"]


def test_22_events_of_one_source_are_in_one_processs_hands(
    offering: Offers, elsewhere: Offers, beside: Beside, postgresql_only: None
) -> None:
    define(ORDER)
    instance = begin(offering, {"order": 1})
    gate = Gate()
    offering.runtime.records.before["save"] = gate
    receive(event(1), event(2))
    working = beside.run(offering.all)
    gate.await_arrival()
    del offering.runtime.records.before["save"]
    receive(event(3))

    elsewhere.processor.look()
    assert elsewhere.processor.offered == 0

    gate.open()
    working.result(20)
    offering.all()
    assert heard(instance) == ["1", "2", "3"]


def test_22_a_zombie_that_offers_late_changes_nothing(offering: Offers, elsewhere: Offers) -> None:
    define(ORDER)
    instance = begin(offering, {"order": 1})
    wait = next(iter(state_of(instance).waits))
    receive(event(1), event(2))
    elsewhere.all()

    late = [facts.EventArrived(at=offering.runtime.now, wait_id=wait, event=event(number)) for number in (1, 2)]
    outcomes = [hand_over(offering, instance, fact) for fact in late]
    receive(event(3))
    offering.all()

    assert [outcome.changed for outcome in outcomes] == [False, False]
    assert heard(instance) == ["1", "2", "3"]


def timer_of(instance: str) -> str:
    return next(name for name, wait in state_of(instance).waits.items() if wait.kind == "timer")


def hand_over(offers: Offers, instance: str, fact: facts.EventArrived) -> Any:
    """Hand a fact to a stepper that runs, and return what became of it."""
    outcomes: list[Any] = []
    done = Gate()
    offers.runtime.stepper.submit(instance, fact, lambda outcome: (outcomes.append(outcome), done.open()))
    assert done._opened.wait(20)
    return outcomes[0]


def test_what_is_suspended_hears_in_order_once_it_goes_on(offering: Offers) -> None:
    define(ORDER)
    instance = begin(offering, {"order": 1})
    hand_over(offering, instance, facts.SuspendRequested(at=offering.runtime.now))  # type: ignore[arg-type]
    receive(event(1), event(2), event(3))
    offering.all()
    assert status_of(instance) == "suspended"

    hand_over(offering, instance, facts.ResumeRequested(at=offering.runtime.now))  # type: ignore[arg-type]

    assert heard(instance) == ["1", "2", "3"]


@pytest.mark.parametrize("verb", [facts.CancelRequested, facts.TimerFired])
def test_a_listener_that_ends_otherwise_leaves_no_subscription(offering: Offers, verb: Callable[..., Any]) -> None:
    define(ORDER.replace("do: [{hear: {", "do: [{hear: {timeout: {after: {seconds: 30}}, "))
    instance = begin(offering, {"order": 1})
    more = {} if verb is facts.CancelRequested else {"wait_id": timer_of(instance)}

    outcome = hand_over(offering, instance, verb(at=offering.runtime.now + timedelta(minutes=1), **more))

    assert outcome.changed
    assert status_of(instance) in ("cancelled", "faulted")
    assert open_listeners() == 0


def test_subscriptions_of_an_instance_that_is_gone_are_removed_when_an_event_finds_them(offering: Offers) -> None:
    define(ORDER)
    instance = begin(offering, {"order": 1})
    models.Checkpoint.objects.filter(pk=instance).delete()

    receive(event(1))
    offering.all()

    assert open_listeners() == 0
    assert not models.PendingEvent.objects.exists()


def test_an_event_of_which_the_row_is_gone_holds_nothing_up(offering: Offers) -> None:
    define(ORDER)
    instance = begin(offering, {"order": 1})
    receive(event(0), *(event(number) for number in (1, 2, 3)))
    models.ReceivedEvent.objects.filter(event_id="0").delete()

    offering.all()

    assert heard(instance) == ["1", "2", "3"]
    assert not models.PendingEvent.objects.exists()


def test_what_was_kept_for_long_enough_is_offered_to_nobody_and_its_keys_go(offering: Offers) -> None:
    define(ORDER)
    begin(offering, {"order": 2})
    receive(event(1))
    offering.all()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_eventkey SET expires_at = received_at FROM workflows_receivedevent e"
            " WHERE e.id = workflows_eventkey.event"
        )

    instance = begin(offering, {"order": 1})
    offering.all()
    receive(event(2), event(3), event(4))
    offering.all()

    assert heard(instance) == ["2", "3", "4"]
    kept = models.EventKey.objects.count()
    assert sum((each.keys for each in removals(configured(), offering.runtime.now)), 0) == 1
    assert models.EventKey.objects.count() == kept - 1


def test_a_filter_that_fails_on_an_event_says_so_once_and_harms_nobody(
    offering: Offers, caplog: pytest.LogCaptureFixture
) -> None:
    picky = "{with: {type: t, subject: '${ tonumber > 1 }'}}"
    define(f"do: [{{hear: {{listen: {{to: {{one: {picky}}}, read: envelope}}}}}}]", name="picky")
    define(ALL)
    instance, other = begin(offering, name="picky"), begin(offering)

    receive(event(1, subject="x"), event(2, subject="y"), event(3, subject="2"))
    offering.all()

    assert heard(instance) == ["3"]
    assert heard(other) == ["1", "2", "3"]
    assert [record.message for record in caplog.records if record.message == "filter.faulted"] == ["filter.faulted"]
