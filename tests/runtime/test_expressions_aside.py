"""Instances whose expressions may not end, beside others on one stepper."""

import threading
from collections.abc import Iterator

import pytest
import uuid6
from django.conf import settings

from tests.builders import define
from workers.embedded import LocalWorkers
from workers.routing import routing
from workflows.engine import expressions
from workflows.runtime.jq_sandbox import JqSandbox
from workflows.runtime.memory import MemoryRecords
from workflows.runtime.process import Process
from workflows.runtime.records import Birth, Phase

PATIENCE = 30.0
ENDLESS = "do: [{turn: {set: {n: '${ def f: f; f }'}}}]"
PLAIN = "do: [{set: {set: {n: '${ .n }'}}}]"


class Gate:
    """A sandbox whose programs end when they are told to."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.asked = threading.Semaphore(0)

    def run(self, program: str, text: str) -> str | None:
        self.asked.release()
        assert self.opened.wait(PATIENCE)
        return "7"


class Node:
    """One process's stepper, its records in memory."""

    def __init__(self, *texts: str) -> None:
        self.records = MemoryRecords()
        self.process = Process(
            lambda presence: LocalWorkers(routing(settings.LEMLINE), presence), "", self.records, find=lambda *_: None
        )
        for number, text in enumerate(texts):
            self.process.definitions.know(number, define(text))
        self.ended: dict[str, threading.Event] = {}
        self.process.stepper.start()

    def start(self, definition: int) -> str:
        id = str(uuid6.uuid7())
        birth = Birth(
            instance_id=id, definition=definition, namespace="tests", workflow="played", version="1.0.0", priority=5,
            labels="{}", input=b'{"n":1}', created_at=self.process.clock.now(),
        )  # fmt: skip
        ended = self.ended[id] = threading.Event()
        self.process.endings._waiting[id].append(ended)
        self.process.stepper.begin(birth, lambda outcome: None)
        return id

    def end_of(self, id: str) -> Phase:
        assert self.ended[id].wait(PATIENCE), "the instance does not end"
        return self.records.instances[id][1]

    def stop(self) -> None:
        self.process.stepper.stop()
        self.process.sandbox.close()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = (expressions._sandbox, expressions._distrustful)
    yield
    expressions.set_sandbox(before[0], everything=before[1])


def test_an_endless_expression_faults_its_instance_and_the_process_goes_on():
    node = Node(ENDLESS, PLAIN)
    expressions.set_sandbox(JqSandbox(1, 0.3, 512 * 1024 * 1024, 1_000_000))

    phase = node.end_of(node.start(0))
    later = node.end_of(node.start(1))

    assert phase.status == "faulted"
    assert b"/errors/expression" in (phase.problem or b"")
    assert b"longer than 0.3 s" in (phase.problem or b"")
    assert later.status == "completed"
    node.stop()


def test_an_expression_that_eats_memory_faults_its_instance_and_the_process_goes_on():
    node = Node("do: [{grow: {set: {n: '${ [range(1e9)] }'}}}]", PLAIN)
    expressions.set_sandbox(JqSandbox(1, PATIENCE, 128 * 1024 * 1024, 1_000_000))

    phase = node.end_of(node.start(0))
    later = node.end_of(node.start(1))

    assert phase.status == "faulted"
    assert b"more memory" in (phase.problem or b"")
    assert later.status == "completed"
    node.stop()


def test_other_instances_end_while_one_still_evaluates():
    node, gate = Node(ENDLESS, PLAIN), Gate()
    expressions.set_sandbox(gate)
    endless = node.start(0)
    assert gate.asked.acquire(timeout=PATIENCE)

    others = [node.end_of(node.start(1)) for _ in range(20)]

    assert {phase.status for phase in others} == {"completed"}
    assert not node.ended[endless].is_set()
    gate.opened.set()
    assert node.end_of(endless).output == b'{"n":7}'
    node.stop()


def test_more_endless_ones_than_may_evaluate_at_once_do_not_hold_up_the_others():
    node, gate = Node(ENDLESS, PLAIN), Gate()
    expressions.set_sandbox(gate)
    endless = [node.start(0) for _ in range(12)]
    assert gate.asked.acquire(timeout=PATIENCE)

    others = [node.end_of(node.start(1)) for _ in range(5)]

    assert {phase.status for phase in others} == {"completed"}
    assert not any(node.ended[id].is_set() for id in endless)
    gate.opened.set()
    assert {node.end_of(id).status for id in endless} == {"completed"}
    node.stop()


def test_an_endless_expression_can_be_caught():
    node = Node("do: [{safe: {try: [{turn: {set: {n: '${ def f: f; f }'}}}], catch: {do: [{b: {set: {n: caught}}}]}}}]")
    expressions.set_sandbox(JqSandbox(1, 0.3, 512 * 1024 * 1024, 1_000_000))

    phase = node.end_of(node.start(0))

    assert phase.output == b'{"n":"caught"}'
    node.stop()
