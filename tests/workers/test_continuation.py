"""A worker process that goes on with an instance where it stands (`lemline.execution.continuation=auto`)."""

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from django.db import connections

from tests.runtimes import Gate, Runtime, output_of, runs_of, state_of, status_of
from tests.waiting import wait_until
from tests.workers.desks import Office, suspected
from workers.activities import Context, activity
from workflows.engine import facts
from workflows.runtime.step import AnyFact

THREE = "do: [{a: {call: tests/work}}, {b: {call: tests/work}}, {c: {call: tests/work}}]"
TWO = "do: [{a: {call: tests/work}}, {b: {call: tests/work}}]"
MIXED = "do: [{a: {call: tests/work}}, {b: {call: tests/work, metadata: {pool: io}}}]"


@pytest.fixture
def auto(configure: Callable[[Mapping[str, str]], None]) -> Iterator[Callable[..., None]]:
    """Set keys of the slice as well."""
    configure({"lemline.execution.continuation": "auto", "lemline.execution.slice.compute": "1h"})
    return lambda **keys: configure({f"lemline.execution.slice.{name}": value for name, value in keys.items()})


@pytest.fixture
def office(auto: object, new_office: Callable[..., Office]) -> Office:
    return new_office()


def noting(seen: list[str]) -> None:
    """Register a function that notes where it is called, and who is recorded to go on with its instance."""

    @activity("tests/work")
    def work(*, context: Context) -> str:
        seen.append(f"{context.position} {list(state_of(context.instance_id).holders.values())}")
        return context.position


def beside(work: Callable[[], object]) -> None:
    """Do something on a thread with connections of its own, and wait for it."""

    def closing() -> None:
        work()
        connections.close_all()

    thread = threading.Thread(target=closing)
    thread.start()
    thread.join()


def between(office: Office, other: Runtime, instance: str, fact: Callable[[], AnyFact]) -> None:
    """Have another process commit a fact right after the commit that has this one go on, which then looks again."""
    office.desk._fresh_seconds = -1.0
    records = office.runtime.records

    def commit(_: object) -> None:
        del records.after["save"]
        beside(lambda: other.apply(instance, fact()))

    records.after["save"] = commit


def test_the_next_activity_is_begun_after_the_commit_without_a_ring_and_recorded_as_held(office: Office):
    seen: list[str] = []
    noting(seen)

    instance = office.start(THREE)
    office.deliver().wait()

    me = str(office.runtime.process.presence.id)
    assert seen == ["/do/0/a []", f"/do/1/b ['{me}']", f"/do/2/c ['{me}']"]
    assert (office.rung(), office.held) == ([], 0)
    assert (output_of(instance), runs_of(instance)) == ("/do/2/c", ["a", "b", "c"])


def test_an_activity_of_a_pool_that_is_not_served_here_is_rung_for(auto: object, new_office: Callable[..., Office]):
    office = new_office(roles="compute")
    noting([])

    office.start(MIXED)
    office.deliver().wait()

    assert [delivery.command.name for delivery in office.rung()] == ["b"]


def test_after_so_many_in_a_row_others_get_their_turn(auto: Callable[..., None], new_office: Callable[..., Office]):
    auto(tasks="2")
    office = new_office()
    noting([])

    instance = office.start(THREE)
    office.deliver().wait()
    assert state_of(instance).holders == {}
    office.work()

    assert output_of(instance) == "/do/2/c"


def test_after_the_slice_others_get_their_turn(auto: Callable[..., None], new_office: Callable[..., Office]):
    auto(compute="0s")
    office = new_office()
    noting([])

    office.start(TWO)
    office.deliver().wait()

    assert [delivery.command.name for delivery in office.rung()] == ["b"]


@pytest.mark.parametrize(("level", "names"), [(2, ["b"]), (3, [])])
def test_only_what_is_more_urgent_and_waits_in_the_process_goes_first(office: Office, level: int, names: list[str]):
    noting([])
    office.start(TWO)

    office.desk.slots.expect(level, 1)
    office.deliver().wait()

    assert [delivery.command.name for delivery in office.rung()] == names


def test_one_slow_activity_of_a_message_holds_up_no_other_on_its_way(office: Office):
    gate = Gate()

    @activity("tests/work")
    def work(wait: bool = False) -> None:
        if wait:
            gate()

    body = "do: [{a: {call: tests/work, with: {wait: '${ . }'}}}, {b: {call: tests/work}}]"
    slow, quick = office.start(body, True), office.start_again(False)
    delivered = office.deliver()
    gate.await_arrival()
    wait_until(lambda: status_of(quick) == "completed")
    assert status_of(slow) != "completed"
    gate.open()
    delivered.wait()

    assert status_of(slow) == "completed"


def test_coroutines_go_on_as_well(office: Office):
    @activity("tests/work")
    async def work(*, context: Context) -> str:
        return context.position

    instance = office.start(THREE)
    office.deliver().wait()

    assert (output_of(instance), office.rung()) == ("/do/2/c", [])


def test_what_a_process_that_stops_has_not_begun_is_handed_back_by_a_ring_of_its_own(
    auto: object, new_office: Callable[..., Office]
):
    gate, calls = Gate(), []
    office = new_office(1)

    @activity("tests/work")
    def work(wait: bool = False, *, context: Context) -> None:
        calls.append(context.position)
        if wait:
            gate()

    body = "do: [{a: {call: tests/work, with: {wait: '${ . }'}}}, {b: {call: tests/work}}]"
    first, second = office.start(body, False), office.start_again(True)
    delivered = office.deliver()
    gate.await_arrival()
    wait_until(lambda: state_of(first).holders)

    office.desk.hand_back_waiting()
    wait_until(lambda: office.runtime.bells.names)
    gate.open()
    delivered.wait()

    assert calls == ["/do/0/a", "/do/0/a"]
    assert sorted(office.runtime.bells.names) == ["b", "b 2"]
    assert (state_of(first).holders, state_of(second).holders, office.held) == ({}, {}, 0)


def test_a_process_that_stops_right_after_it_took_a_message_hands_all_of_it_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []
    noting(seen)
    office.start(TWO)
    expect = office.desk.slots.expect

    def stop_first(level: int, activities: int) -> None:
        office.desk.hand_back_waiting()
        expect(level, activities)

    monkeypatch.setattr(office.desk.slots, "expect", stop_first)
    office.deliver().wait()

    assert (seen, office.held) == ([], 0)
    assert office.desk.slots.expected_level() is None


def test_the_activity_after_a_suspect_is_rung_for(office: Office):
    office.start("do: [{a: {run: {shell: {command: 'true'}}}}, {b: {run: {shell: {command: 'true'}}}}]")
    [delivery] = office.rung()

    office.deliver([suspected(delivery)]).wait()

    assert [delivery.command.name for delivery in office.rung()] == ["b"]


def test_what_another_process_cancels_before_it_begins_late_is_not_run(office: Office):
    seen: list[str] = []
    noting(seen)
    other = Runtime()
    instance = office.start(TWO)
    between(office, other, instance, lambda: facts.CancelRequested(at=other.now))

    office.deliver().wait()
    other.close()

    assert len(seen) == 1
    assert (status_of(instance), office.held) == ("cancelled", 0)


def test_what_is_suspended_before_it_begins_late_is_rung_for_when_it_resumes(office: Office):
    seen: list[str] = []
    noting(seen)
    other = Runtime()
    instance = office.start(TWO)
    between(office, other, instance, lambda: facts.SuspendRequested(at=other.now))

    office.deliver().wait()
    wait_until(lambda: not state_of(instance).holders)
    assert (len(seen), office.rung()) == (1, [])
    other.apply(instance, facts.ResumeRequested(at=other.now))
    office.deliver(other.bells.rung).wait()
    other.close()

    assert (len(seen), status_of(instance)) == (2, "completed")
