"""Definitions with `schedule.on`, from their registration to the instances that accepted events start."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.runtimes import Runtime
from tests.schedules import SETTING, instances
from workflows import models
from workflows.dsl import DefinitionError
from workflows.dsl.jsontext import decode
from workflows.runtime import events, registrations
from workflows.runtime import process as processes
from workflows.runtime.audit import Actor
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.event_schedules import EventSchedules

ADA = Actor(name="ada", door="tests", is_admin=True)
PAID = "{with: {type: paid}, correlate: {order: {from: .data.order}}}"
PACKED = "{with: {type: packed}, correlate: {order: {from: .data.order}}}"


@pytest.fixture
def processor(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventProcessor]:
    monkeypatch.setattr(processes, "_current", runtime.process)
    made = EventProcessor(runtime.process, 0, EventSchedules.of(runtime.process).hear)
    yield made
    made.stop()


Send = Callable[..., None]


@pytest.fixture
def send(runtime: Runtime, processor: EventProcessor) -> Send:
    """Accepts events and offers them to all whom they concern."""

    def send(*given: tuple[str, str, int]) -> None:
        events.receive(
            [
                {"specversion": "1.0", "id": key, "source": "/shop", "type": kind, "data": {"order": order}}
                for key, kind, order in given
            ],
            namespace="tests",
            by="ada",
        )
        while processor.look():
            pass
        runtime.settle()

    return send


def register(on: str, *, name: str = "played", version: str = "1.0.0") -> None:
    document = f"document: {{dsl: 1.0.3, namespace: tests, name: {name}, version: {version}}}"
    registrations.register(f"{document}\nschedule: {{on: {on}}}\n{SETTING}".encode(), actor=ADA)


def inputs(name: str = "played") -> list[list[str]]:
    return [[each["id"] for each in decode(bytes(row.input))] for row in instances(name)]


def test_an_accepted_event_starts_an_instance_with_itself_as_input(processor: EventProcessor, send: Send) -> None:
    register("{one: {with: {type: paid}}}")

    send(("1", "paid", 7), ("2", "packed", 7), ("3", "paid", 8))

    assert inputs() == [["1"], ["3"]]
    first = instances()[0]
    assert decode(bytes(first.input))[0]["data"] == {"order": 7}
    assert first.status == "completed"


def test_events_that_belong_together_start_one_together(processor: EventProcessor, send: Send) -> None:
    register(f"{{all: [{PAID}, {PACKED}]}}")

    send(("1", "paid", 7), ("2", "paid", 8))
    send(("3", "packed", 8))
    send(("4", "packed", 7))

    assert inputs() == [["2", "3"], ["1", "4"]]


def test_two_workflows_each_take_an_event(processor: EventProcessor, send: Send) -> None:
    register("{one: {with: {type: paid}}}", name="one")
    register("{one: {with: {type: paid}}}", name="two")

    send(("1", "paid", 7))
    send(("1", "paid", 7))

    assert (inputs("one"), inputs("two")) == ([["1"]], [["1"]])


def test_a_new_version_decides_alone_which_events_start_it(processor: EventProcessor, send: Send) -> None:
    register("{one: {with: {type: paid}}}")
    register("{one: {with: {type: packed}}}", version="1.1.0")

    send(("1", "paid", 7), ("2", "packed", 7))

    assert inputs() == [["2"]]


def test_events_that_were_gathered_outlast_a_version_that_says_the_same(processor: EventProcessor, send: Send) -> None:
    register(f"{{all: [{PAID}, {PACKED}]}}")
    send(("1", "paid", 7))
    register(f"{{all: [{PAID}, {PACKED}]}}", version="1.1.0")

    send(("2", "packed", 7))

    assert inputs() == [["1", "2"]]
    assert instances()[0].version == "1.1.0"


def test_what_was_accepted_before_it_was_registered_starts_nothing(processor: EventProcessor, send: Send) -> None:
    send(("1", "paid", 7))
    register("{one: {with: {type: paid}}}")

    send(("2", "paid", 7))

    assert inputs() == [["2"]]


def test_what_is_deleted_starts_nothing_more_and_leaves_no_subscription(processor: EventProcessor, send: Send) -> None:
    register("{one: {with: {type: paid}}}")
    registrations.delete_definition("tests", "played", "1.0.0", actor=ADA)

    send(("1", "paid", 7))

    assert inputs() == []
    assert not models.Subscription.objects.exists()


@pytest.mark.parametrize(
    ("on", "place"),
    [
        ("{one: {with: {type: '${ $context.kind }'}}}", "with/type"),
        ("{one: {with: {type: a}, correlate: {o: {from: .data.o, expect: '${ $context.o }'}}}}", "correlate/o/expect"),
    ],
)
def test_a_filter_that_needs_an_instance_is_refused(runtime: Runtime, processor: EventProcessor, on: str, place: str):
    with pytest.raises(DefinitionError) as refused:
        register(on)

    [error] = refused.value.errors
    assert error.pointer == f"/schedule/on/one/{place}"
    assert "$context" in error.message
    assert not models.Schedule.objects.exists()


def test_what_an_instance_emits_starts_another(processor: EventProcessor, send: Send, runtime: Runtime) -> None:
    register("{one: {with: {type: placed}}}", name="listener")
    emit: Any = "do: [{tell: {emit: {event: {with: {source: /shop, type: placed, data: {order: 9}}}}}}]"
    text = f"document: {{dsl: 1.0.3, namespace: tests, name: teller, version: 1.0.0}}\n{emit}"
    registrations.register(text.encode(), actor=ADA)
    runtime.start("teller")
    runtime.settle()

    send()

    [row] = instances("listener")
    assert decode(bytes(row.input))[0]["data"] == {"order": 9}
