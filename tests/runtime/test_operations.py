"""Verbs where the runtime decides: starts that are not answered in time, and what is told to whom."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from tests.doors import ECHO, FAILING, ROOT, SLEEPER, start
from tests.doors import register as register_text
from tests.runtimes import Beside, Watched, lost, once, phases_of
from workers.dispatcher import connect
from workflows import models
from workflows.runtime import operations, process
from workflows.runtime.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OperationRefusedError,
    TooLargeError,
    UnavailableError,
)
from workflows.runtime.operations import Actor, StartRequest
from workflows.runtime.process import Process, make_records

ECHO_START = StartRequest(namespace="tests", name="echo")


@pytest.fixture(autouse=True)
def doors(database: str) -> Iterator[None]:
    yield
    process.end()


@pytest.fixture
def records() -> Iterator[Watched]:
    """Records of this process, with fault points."""
    watched = Watched(make_records())
    assembled = Process(connect, "tests", watched)  # type: ignore[arg-type]
    assembled.stepper.start()
    process._current = assembled
    yield watched
    watched.before.clear()
    watched.after.clear()


def test_a_start_that_the_database_did_not_take_in_time_never_happens(records: Watched) -> None:
    register_text(ECHO)
    records.before["lock"] = lost

    with pytest.raises(UnavailableError, match="nothing was started"):
        operations.start(ECHO_START, actor=ROOT)
    records.before.clear()
    process.end()

    assert not models.Instance.objects.exists()


def test_a_start_whose_commit_was_not_answered_is_told_with_its_instance(records: Watched) -> None:
    register_text(ECHO)

    with once(records.after, "save", lost):
        started = operations.start(ECHO_START, actor=ROOT)

    assert started.instance.status == "completed"
    assert models.Instance.objects.count() == 1


def test_a_start_shows_what_became_of_the_first_step() -> None:
    register_text(ECHO)

    started = operations.start(StartRequest(namespace="tests", name="echo", input=b'{"n":1.10}'), actor=ROOT)

    assert (started.instance.status, started.instance.output) == ("completed", b'{"n":1.10}')
    assert started.instance.ended_at is not None


def test_a_start_in_the_future_waits(records: Watched) -> None:
    register_text(ECHO)
    at = process.current().clock.now() + timedelta(hours=1)

    started = operations.start(StartRequest(namespace="tests", name="echo", start_at=at), actor=ROOT)

    assert started.instance.status == "pending"
    assert models.Checkpoint.objects.get().due_at == at


@pytest.mark.parametrize(
    "wrong",
    [{"priority": 0}, {"priority": 9}, {"labels": {"": "v"}}, {"labels": {"k" * 64: "v"}}, {"labels": {"k": "\x00"}}],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    register_text(ECHO)

    with pytest.raises(InvalidRequestError):
        operations.start(StartRequest(namespace="tests", name="echo", **wrong), actor=ROOT)  # type: ignore[arg-type]


def test_an_input_over_the_limit_is_refused(configure: object) -> None:
    register_text(ECHO)
    configure({"lemline.limits.input": "1K"})  # type: ignore[operator]

    with pytest.raises(TooLargeError, match="1024"):
        operations.start(StartRequest(namespace="tests", name="echo", input=b'"' + b"x" * 1024 + b'"'), actor=ROOT)


def test_two_cancellations_at_once_are_both_told_where_it_led(beside: Beside) -> None:
    register_text(SLEEPER)
    instance = UUID(start().id)
    barrier = Barrier(2)

    def cancel() -> str:
        barrier.wait()
        return operations.cancel(instance, actor=ROOT).status

    statuses = [each.result() for each in [beside.run(cancel) for _ in range(2)]]

    assert statuses == ["cancelled", "cancelled"]
    assert phases_of(str(instance)) == ["running", "waiting", "cancelled"]


def test_of_two_retries_at_once_the_second_is_refused(beside: Beside) -> None:
    register_text("do: [{work: {run: {shell: {command: ls}}}}]")
    instance = UUID(start().id)
    operations.cancel(instance, actor=ROOT)
    barrier = Barrier(2)

    def retry() -> str:
        barrier.wait()
        try:
            return operations.retry(instance, actor=ROOT).status
        except OperationRefusedError:
            return "refused"

    statuses = [each.result() for each in [beside.run(retry) for _ in range(2)]]

    assert sorted(statuses) == ["refused", "running"]


def test_a_retry_that_faults_at_once_shows_the_new_fault() -> None:
    register_text("do: [{fail: {raise: {error: {type: https://example.com/wrong, status: 500, detail: '${ .why }'}}}}]")
    instance = UUID(start(input=b'{"why": "first"}').id)
    before = operations.get_instance(instance, actor=ROOT)

    after = operations.retry(instance, actor=ROOT, source="beginning", input=b'{"why": "second"}')

    assert before.problem is not None
    assert b"first" in before.problem
    assert after.problem is not None
    assert b"second" in after.problem
    assert after.ended_at != before.ended_at


def test_an_instance_in_a_foreign_namespace_does_not_exist() -> None:
    register_text(SLEEPER)
    instance = UUID(start().id)
    stranger = Actor(name="s", door="api", namespaces=frozenset({"other"}))

    for verb in (operations.suspend, operations.resume, operations.cancel, operations.retry, operations.get_instance):
        with pytest.raises(NotFoundError):
            verb(instance, actor=stranger)
    with pytest.raises(NotFoundError):
        operations.start(ECHO_START, actor=stranger)

    assert operations.get_instance(instance, actor=ROOT).status == "waiting"


@pytest.mark.parametrize("key", ["first", "second"])
def test_a_chosen_id_of_somebody_elses_instance_shows_nothing_of_it(key: str) -> None:
    register_text(FAILING)
    chosen = uuid4()
    start(instance_id=chosen)
    register_text(ECHO, namespace="other")
    stranger = Actor(name="s", door="api", namespaces=frozenset({"other"}))

    request = StartRequest(namespace="other", name="echo", instance_id=chosen, idempotency_key=key)
    with pytest.raises(ConflictError, match="was used for another request") as raised:
        operations.start(request, actor=stranger)

    assert "broken" not in str(raised.value)


def test_who_waits_for_an_end_is_woken_by_it(beside: Beside) -> None:
    register_text(SLEEPER)
    instance = UUID(start().id)
    waiting = beside.run(lambda: operations.get_instance(instance, actor=ROOT, wait_seconds=60))

    operations.cancel(instance, actor=ROOT)

    assert waiting.result(20).status == "cancelled"


def test_who_waits_in_vain_gets_what_there_is() -> None:
    register_text(SLEEPER)
    instance = UUID(start().id)

    assert operations.get_instance(instance, actor=ROOT, wait_seconds=0.01).status == "waiting"
    assert not process.current().endings._waiting
