"""What a worker process does with a message."""

import threading
from collections.abc import Callable

import pytest

from tests.runtimes import DEADLINE_SECONDS, Gate, define, output_of, problem_of, runs_of, status_of
from tests.waiting import wait_until
from tests.workers.activities.serving import reply, serving
from tests.workers.desks import Office
from workers.activities import Context, Problem, activity
from workers.activities.client import CLIENT
from workflows.engine import facts

ONE = "do: [{work: {call: tests/work}}]"
MANY = """
do:
  - many:
      for: {in: '${ [0, 1, 2, 3, 4, 5] }', each: n, parallel: true}
      do: [{work: {call: tests/work, with: {n: '${ $n }'}}}]
"""


def test_what_is_wanted_is_run_and_told(office: Office):
    @activity("tests/work")
    def work(*, context: Context) -> str:
        return context.instance_id

    instance = office.start(ONE)
    office.work()

    assert output_of(instance) == instance
    assert office.held == 0


def test_a_message_that_comes_twice_is_run_once(office: Office):
    calls: list[int] = []

    @activity("tests/work")
    def work() -> None:
        calls.append(1)

    instance = office.start(ONE)
    deliveries = office.rung()
    office.deliver(deliveries).wait()
    office.deliver(deliveries).wait()

    assert status_of(instance) == "completed"
    assert calls == [1]


def test_of_two_copies_at_once_one_is_run(office: Office):
    gate, calls = Gate(), []

    @activity("tests/work")
    def work() -> None:
        calls.append(1)
        gate()

    office.start(ONE)
    deliveries = office.rung()
    first = office.deliver(deliveries)
    gate.await_arrival()
    office.deliver(deliveries).wait()
    gate.open()
    first.wait()

    assert calls == [1]


def test_what_nobody_wants_any_more_is_not_begun(office: Office):
    @activity("tests/work")
    def work() -> None:
        raise AssertionError

    instance = office.start(ONE)
    cancelled = threading.Event()
    fact = facts.CancelRequested(at=office.runtime.now)
    office.runtime.stepper.submit(instance, fact, lambda _: cancelled.set())
    assert cancelled.wait(DEADLINE_SECONDS)
    office.deliver().wait()

    assert status_of(instance) == "cancelled"


def test_arguments_that_are_too_large_to_travel_are_read_from_the_state(office: Office):
    @activity("tests/work")
    def work(text: str) -> int:
        return len(text)

    instance = office.start("do: [{work: {call: tests/work, with: {text: '${ .text }'}}}]", {"text": "x" * 50_000})
    office.work()

    assert output_of(instance) == 50_000


def test_what_waits_for_its_turn_is_held_from_the_beginning(new_office: Callable[..., Office]):
    office, gate = new_office(max_size=1), Gate()

    @activity("tests/work")
    def work(n: int) -> None:
        gate()

    office.start(MANY)
    delivered = office.deliver()
    gate.await_arrival()

    assert office.held == 6
    gate.open()
    delivered.wait()
    assert office.held == 0


def test_what_is_cancelled_while_it_waits_for_its_turn_is_not_begun(new_office: Callable[..., Office]):
    office, gate, calls = new_office(max_size=1), Gate(), []

    @activity("tests/work")
    def work(n: int) -> None:
        calls.append(n)
        gate()

    instance = office.start(MANY)
    deliveries = office.rung()
    delivered = office.deliver(deliveries)
    gate.await_arrival()
    for delivery in deliveries:
        office.runtime.process.presence.cancel(instance, delivery.command.wait_id)
    gate.open()
    delivered.wait()

    assert len(calls) <= 2
    assert office.held == 0


def test_a_function_that_takes_long_holds_up_no_other_of_its_message(office: Office):
    done: set[int] = set()
    others = threading.Event()

    @activity("tests/work")
    def work(n: int) -> int:
        if n == 0:
            assert others.wait(DEADLINE_SECONDS)
        done.add(n)
        if done == {1, 2, 3, 4, 5}:
            others.set()
        return n

    instance = office.start(MANY)
    office.deliver().wait()

    assert output_of(instance) == [0, 1, 2, 3, 4, 5]


def test_a_coroutine_that_blocks_holds_up_no_http_call(office: Office):
    gate = Gate()

    @activity("tests/work")
    async def work() -> None:
        gate()

    blocked = office.start(ONE)
    delivered = office.deliver()
    gate.await_arrival()
    with serving(reply("here")) as service:
        define(f"do: [{{get: {{call: http, with: {{method: get, endpoint: '{service.url}'}}}}}}]", version="2.0.0")
        calling = office.start_again()
        office.deliver().wait()

    assert output_of(calling) == "here"
    gate.open()
    delivered.wait()
    assert status_of(blocked) == "completed"


def test_a_function_that_does_not_end_in_time_is_a_timeout_and_is_told_to_stop(office: Office):
    told = threading.Event()

    @activity("tests/work", timeout="PT0.1S")
    def work(*, context: Context) -> str:
        if context.cancelled.wait(DEADLINE_SECONDS):
            told.set()
        return "too late"

    instance = office.start(ONE)
    office.deliver().wait()

    assert problem_of(instance)["type"].endswith("/timeout")
    assert problem_of(instance)["status"] == 408
    assert told.is_set()
    assert runs_of(instance) == ["work faulted"]


def test_a_function_that_ends_in_time_is_watched_no_longer(office: Office):
    @activity("tests/work", timeout="PT1H")
    def work() -> str:
        return "done"

    instance = office.start(ONE)
    office.work()

    assert output_of(instance) == "done"
    wait_until(lambda: not [h for h in office.desk.loop._loop._scheduled if not h.cancelled()])  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [ValueError("v"), SystemExit(1), Problem("validation", 400)])
def test_a_function_that_fails_in_whatever_way_leaves_the_desk_at_work(office: Office, error: BaseException):
    @activity("tests/work")
    def work(fails: bool) -> str:
        if fails:
            raise error
        return "fine"

    body = "do: [{work: {call: tests/work, with: {fails: '${ .fails }'}}}]"
    failed = office.start(body, {"fails": True})
    office.work()
    fine = office.start_again({"fails": False})
    office.work()

    assert status_of(failed) == "faulted"
    assert output_of(fine) == "fine"


def test_an_activity_that_nobody_here_can_run_is_a_configuration_problem(office: Office):
    instance = office.start("do: [{work: {run: {container: {image: alpine}}}}]")
    office.work()

    assert problem_of(instance)["type"].endswith("/configuration")


def test_what_does_not_end_within_the_grace_is_handed_back_and_run_by_another_process(
    new_office: Callable[..., Office],
):
    first, second = new_office(), new_office()
    begun, calls = threading.Event(), []

    @activity("tests/work")
    def work(*, context: Context) -> str:
        calls.append(context.idempotency_key)
        if len(calls) == 1:
            begun.set()
            assert context.cancelled.wait(DEADLINE_SECONDS)
            raise RuntimeError("stopped")
        return "done"

    instance = first.start(ONE)
    deliveries = first.rung()
    delivered = first.deliver(deliveries)
    assert begun.wait(DEADLINE_SECONDS)
    first.desk.hand_back(DEADLINE_SECONDS)
    assert delivered.was_handed_back
    second.deliver(deliveries).wait()

    assert output_of(instance) == "done"
    assert runs_of(instance) == ["work"]
    assert calls[0] == calls[1]


def test_what_ends_well_while_it_is_handed_back_is_told(office: Office):
    begun = threading.Event()

    @activity("tests/work")
    def work(*, context: Context) -> str:
        begun.set()
        context.cancelled.wait(DEADLINE_SECONDS)
        return "just so"

    instance = office.start(ONE)
    delivered = office.deliver()
    assert begun.wait(DEADLINE_SECONDS)
    office.desk.hand_back(DEADLINE_SECONDS)
    delivered.wait()

    assert output_of(instance) == "just so"


def test_a_message_that_comes_while_the_process_stops_is_handed_back_untouched(office: Office):
    @activity("tests/work")
    def work() -> None:
        raise AssertionError

    instance = office.start(ONE)
    office.desk.hand_back(0)

    assert office.deliver().was_handed_back
    assert status_of(instance) == "running"


def test_no_connection_is_left_open_by_a_desk_that_stops(office: Office):
    with serving(reply("here")) as service:
        office.start(f"do: [{{get: {{call: http, with: {{method: get, endpoint: '{service.url}'}}}}}}]")
        office.work()
        loop = office.desk.loop._loop
        assert loop in CLIENT._sessions

        office.desk.loop.stop(1)

        assert loop not in CLIENT._sessions
    office.desk.loop = type(office.desk.loop)(1, office.desk.loop._close)


def test_a_stop_while_a_message_is_being_taken_in_passes_on_what_it_brought(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    calls: list[int] = []

    @activity("tests/work")
    def work(n: int) -> None:
        calls.append(n)

    office.start(MANY)
    hold = office.desk._hold

    def hold_and_stop(*given: object) -> bool:
        held = hold(*given)  # type: ignore[arg-type]
        office.desk.hand_back_waiting()
        return held

    monkeypatch.setattr(office.desk, "_hold", hold_and_stop)

    office.deliver().wait()

    assert calls == []
    assert office.held == 0
