"""CloudEvents come in: accepted means stored, once."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.runtimes import Beside, Runtime, define
from workflows import models
from workflows.dsl.jsontext import decode
from workflows.runtime import event_rows, events
from workflows.runtime import process as processes
from workflows.runtime.backlog import Backlog
from workflows.runtime.errors import InvalidRequestError, OverloadedError
from workflows.runtime.events import Received


@pytest.fixture
def rung(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the runtime this process's own; how often its processor was rung."""
    rings: list[str] = []
    runtime.stepper.expect_events = lambda: rings.append("rung")
    monkeypatch.setattr(processes, "_current", runtime.process)
    return rings


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"{number}", "source": "/tests", "type": "t", "data": {"n": number}, **more}


def receive(*given: dict[str, Any], namespace: str = "default") -> Received:
    return events.receive(given, namespace=namespace, by="ada")


def accepted() -> list[str]:
    """Return the ids of events in the order in which they will be offered."""
    ids = dict(models.ReceivedEvent.objects.values_list("pk", "event_id"))
    return [ids[row] for row in models.PendingEvent.objects.order_by("event").values_list("event", flat=True)]


def test_what_is_accepted_is_stored_pending_and_rung_for(rung: list[str]) -> None:
    assert receive(event(1, type="shop.order")) == Received(accepted=1, duplicates=0)

    row = models.ReceivedEvent.objects.get()
    assert (row.scope, row.source, row.event_id, row.type, row.by) == ("", "/tests", "1", "shop.order", "ada")
    assert decode(bytes(row.event)) == event(1, type="shop.order")
    pending = models.PendingEvent.objects.get()
    assert (pending.lane, pending.event) == (event_rows.lane_of("/tests"), row.pk)
    assert rung == ["rung"]


def test_an_event_counts_once_by_source_and_id(rung: list[str]) -> None:
    receive(event(1))

    assert receive(event(2), event(1, data="other"), event(2)) == Received(accepted=1, duplicates=2)
    assert receive(event(1, source="/else")) == Received(accepted=1, duplicates=0)

    assert accepted() == ["1", "2", "1"]
    assert decode(bytes(models.ReceivedEvent.objects.get(source="/tests", event_id="1").event))["data"] == {"n": 1}


def test_events_queue_in_the_order_in_which_they_were_sent(rung: list[str]) -> None:
    receive(*(event(number) for number in (9, 10, 1, 5)))
    receive(event(2))

    assert accepted() == ["9", "10", "1", "5", "2"]


def test_one_bad_event_and_none_of_its_batch_is_stored(rung: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        receive(event(1), event(2, source=""), {"id": "3", "type": "x" * 1001, "source": "/tests"})

    assert [(error["index"], error["pointer"]) for error in refused.value.errors] == [(1, "/source"), (2, "/type")]
    assert not models.ReceivedEvent.objects.exists()


def test_many_large_events_travel_in_parts_and_are_stored_together(
    rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STATEMENT_BYTES", 1000)

    receive(*(event(number, data="x" * 300) for number in range(20)))

    assert accepted() == [str(number) for number in range(20)]


def test_two_who_bring_the_same_events_in_opposite_order_do_not_block_each_other(
    rung: list[str], beside: Beside
) -> None:
    batch = [event(number) for number in range(200)]

    both = [beside.run(receive, *batch), beside.run(receive, *reversed(batch))]

    assert sum(done.result(20).accepted for done in both) == 200


def test_above_the_limit_events_are_refused_until_some_have_been_offered(
    runtime: Runtime, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.process, "backlog", Backlog(3))
    receive(event(1), event(2))
    receive(event(3), event(4))

    with pytest.raises(OverloadedError, match="max-events"):
        receive(event(5))
    assert accepted() == ["1", "2", "3", "4"]

    offered = models.ReceivedEvent.objects.filter(event_id__in="12").values("pk")
    models.PendingEvent.objects.filter(event__in=offered).delete()
    assert receive(event(5)).accepted == 1


def test_with_a_bus_per_namespace_an_event_is_unique_in_its_own(
    rung: list[str], configure: Callable[[Mapping[str, str]], None]
) -> None:
    configure({"lemline.events.scope": "namespace"})

    assert receive(event(1), namespace="one").accepted == 1
    assert receive(event(1), namespace="two").accepted == 1
    assert receive(event(1), namespace="one").duplicates == 1

    assert set(models.ReceivedEvent.objects.values_list("scope", flat=True)) == {"one", "two"}


def test_what_an_instance_emits_is_pending_with_its_step_and_rung_for(runtime: Runtime, rung: list[str]) -> None:
    define("do: [{tell: {emit: {event: {with: {source: /shop, type: told}}}}}, {nap: {wait: {days: 1}}}]")

    runtime.start()

    row = models.ReceivedEvent.objects.get()
    assert (row.type, row.by) == ("told", "emit")
    assert models.PendingEvent.objects.get().event == row.pk
    assert rung == ["rung"]
