"""Races of starts, and what SQLite has in place of row locks: rows 23 to 25 of the table in docs/architecture.md."""

import sqlite3
from collections.abc import Callable, Iterator
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection

from tests.doors import ECHO, ROOT, SLEEPER, text_of
from tests.doors import register as register_text
from tests.runtimes import BOTH, ONE, Beside, Gate, Runtime, define, once, output_of, runs_of, status_of
from workflows import models
from workflows.runtime import operations, process
from workflows.runtime.errors import ConflictError, NotFoundError
from workflows.runtime.operations import StartRequest
from workflows.runtime.ports import Outcome

SHELL = "do: [{work: {run: {shell: {command: ls}}}}]"


@pytest.fixture
def doors(database: str) -> Iterator[None]:
    """Operations work in this process."""
    yield
    process.end()


def test_two_starts_with_one_key_in_two_processes_are_settled_by_the_unique_key(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(ONE)
    outcomes: list[Outcome] = []
    barrier = Barrier(2)

    def begin(each: Runtime) -> None:
        birth = each.birth(idempotency_key="order-7", request_digest="d", may_exist=True)
        barrier.wait()
        each.stepper.begin(birth, outcomes.append)
        each.settle()

    for begun in [beside.run(begin, each) for each in (runtime, other)]:
        begun.result()

    assert sorted((outcome.changed, outcome.found) for outcome in outcomes) == [(False, True), (True, True)]
    assert models.Instance.objects.count() == models.Checkpoint.objects.count() == 1
    assert runtime.bells.names + other.bells.names == ["work"]


def test_two_starts_with_one_key_in_one_batch_are_one_instance(runtime: Runtime) -> None:
    define(ONE)
    outcomes: list[Outcome] = []

    for _ in range(3):
        birth = runtime.birth(idempotency_key="order-7", request_digest="d", may_exist=True)
        runtime.stepper.begin(birth, outcomes.append)
    runtime.settle()

    assert sorted(outcome.changed for outcome in outcomes) == [False, False, True]
    assert models.Instance.objects.count() == 1


def test_every_start_with_one_chosen_id_is_answered_however_many_arrive_together(runtime: Runtime) -> None:
    define(ONE)
    outcomes: list[Outcome] = []
    chosen = "01900000-0000-7000-8000-000000000001"

    for _ in range(4):
        runtime.stepper.begin(runtime.birth(instance_id=chosen, may_exist=True), outcomes.append)
    runtime.settle()

    assert sorted(outcome.changed for outcome in outcomes) == [False, False, False, True]
    assert models.Instance.objects.count() == 1


def test_the_loser_of_two_starts_at_once_reads_the_winner(doors: None, beside: Beside) -> None:
    register_text(SLEEPER)
    request = StartRequest(namespace="tests", name="echo", idempotency_key="order-7", input=b'{"n": 1}')
    barrier = Barrier(4)

    def start() -> operations.Started:
        barrier.wait()
        return operations.start(request, actor=ROOT)

    started = [begun.result() for begun in [beside.run(start) for _ in range(4)]]

    assert len({each.instance.id for each in started}) == 1
    assert sorted(each.created for each in started) == [False, False, False, True]


def test_a_key_that_was_used_for_another_input_is_a_conflict(doors: None) -> None:
    register_text(SLEEPER)
    request = {"namespace": "tests", "name": "echo", "idempotency_key": "order-7"}
    operations.start(StartRequest(**request, input=b"1"), actor=ROOT)

    with pytest.raises(ConflictError, match="order-7"):
        operations.start(StartRequest(**request, input=b"2"), actor=ROOT)


def test_a_key_counts_for_one_workflow_and_not_for_its_neighbour(doors: None) -> None:
    register_text(SLEEPER)
    register_text(SLEEPER, name="other")

    started = [
        operations.start(StartRequest(namespace="tests", name=name, idempotency_key="k"), actor=ROOT)
        for name in ("echo", "other")
    ]

    assert [each.created for each in started] == [True, True]


def test_a_key_answers_with_its_instance_whatever_version_is_latest_by_now(doors: None) -> None:
    register_text(SLEEPER)
    request = StartRequest(namespace="tests", name="echo", idempotency_key="k")
    first = operations.start(request, actor=ROOT)
    register_text(ECHO, version="1.1.0")

    second = operations.start(request, actor=ROOT)

    assert (second.created, second.instance.id) == (False, first.instance.id)
    assert second.instance.version == "1.0.0"


def test_a_chosen_id_is_its_own_key(doors: None) -> None:
    register_text(SLEEPER)
    chosen = UUID("01900000-0000-7000-8000-000000000002")
    request = StartRequest(namespace="tests", name="echo", instance_id=chosen)

    started = [operations.start(request, actor=ROOT) for _ in range(2)]

    assert [each.created for each in started] == [True, False]
    assert {each.instance.id for each in started} == {str(chosen)}


def test_an_instance_keeps_the_text_it_began_with_when_its_version_is_replaced(doors: None, runtime: Runtime) -> None:
    register_text(SHELL.replace("]", ", {end: {set: {text: old}}}]"), name="played")
    instance = runtime.start()
    operations.register(text_of("do: [{end: {set: {text: new}}}]", name="played").encode(), actor=ROOT, force=True)

    runtime.succeed(instance, "work")

    assert output_of(instance) == {"text": "old"}
    assert operations.start(StartRequest(namespace="tests", name="played"), actor=ROOT).instance.output == (
        b'{"text":"new"}'
    )


def test_a_start_that_read_its_definition_before_it_was_deleted_runs_to_its_end(
    doors: None, runtime: Runtime, beside: Beside
) -> None:
    register_text(SHELL, name="played")
    gate = runtime.records.before["lock"] = Gate()
    starting = beside.run(runtime.start)
    gate.await_arrival()
    operations.delete_definition("tests", "played", "1.0.0", actor=ROOT)
    gate.open()
    instance = starting.result()
    runtime.records.before.clear()

    runtime.succeed(instance, "work", "done")

    assert (status_of(instance), output_of(instance)) == ("completed", "done")
    with pytest.raises(NotFoundError):
        operations.start(StartRequest(namespace="tests", name="played"), actor=ROOT)


@pytest.fixture
def two_on_sqlite(sqlite: str, new_runtime: Callable[[], Runtime]) -> tuple[Runtime, Runtime]:
    return new_runtime(), new_runtime()


def test_on_sqlite_a_second_process_waits_for_the_transaction_that_began_immediate(
    two_on_sqlite: tuple[Runtime, Runtime], sqlite: str, beside: Beside
) -> None:
    first, second = two_on_sqlite
    define(BOTH)
    instance = first.start()
    a, b = first.success(instance, "a", 1), first.success(instance, "b", 2)
    gate = first.records.after["lock"] = Gate()
    holding = beside.run(first.apply, instance, a)
    gate.await_arrival()

    outsider = sqlite3.connect(sqlite.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        outsider.execute("BEGIN IMMEDIATE")
    outsider.close()
    waiting = beside.run(second.apply, instance, b)
    gate.open()

    assert holding.result()[0].changed
    assert waiting.result()[0].changed
    assert output_of(instance) == [1, 2]


def test_on_sqlite_a_step_is_written_only_while_its_number_is_the_one_that_was_read(
    two_on_sqlite: tuple[Runtime, Runtime],
) -> None:
    first, _ = two_on_sqlite
    define(BOTH)
    instance = first.start()
    fact = first.success(instance, "a", 1)

    def overtake(_: object) -> None:
        # As if the lock had been none.
        connection.connection.execute("UPDATE workflows_checkpoint SET step = step + 1")

    with once(first.records.before, "save", overtake):
        [outcome] = first.apply(instance, fact)

    assert outcome.changed
    assert runs_of(instance) == ["a"]
    assert models.Checkpoint.objects.get().step == 2
