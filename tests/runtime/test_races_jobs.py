"""Races of jobs: rows 10, 11, 13 and 14 of the table in docs/architecture.md, part 4. Claims are in Redis."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from tests.runtimes import (
    BOTH,
    DEADLINE_SECONDS,
    Beside,
    Gate,
    Runtime,
    define,
    output_of,
    runs_of,
    state_of,
    status_of,
    wait_of,
)
from tests.waiting import wait_until
from workers.activities import functions
from workers.activities.functions import activity
from workers.claims import Claims, RedisClaims
from workers.desk import Desk
from workers.message import message_of
from workflows import models
from workflows.engine import facts
from workflows.runtime.cluster import Heartbeat
from workflows.runtime.ports import Delivery

LEASE = timedelta(seconds=30)
CALL = "do: [{work: {call: tests/job, with: {key: work}}}]"
CALLS = BOTH.replace("{call: work}", "{call: tests/job, with: {key: a}}", 1).replace(
    "{call: work}", "{call: tests/job, with: {key: b}}", 1
)

calls: list[str] = []
gates: dict[str, Gate] = {}


def job(*, key: str, context: functions.Context) -> str:
    calls.append(key)
    if gate := gates.get(key):
        gate()
    return "stopped" if context.cancelled.is_set() else key


class Worker:
    """A process that takes jobs."""

    def __init__(self, runtime: Runtime, redis_url: str, beside: Beside) -> None:
        self.runtime = runtime
        self.claims: Claims = RedisClaims(redis_url, "tests", runtime.process.presence, LEASE)
        self.heart = Heartbeat(
            runtime.process.presence,
            runtime.records,
            runtime.process.clock,
            LEASE.total_seconds(),
            self.claims.renew,  # type: ignore[arg-type]
        )
        self.heart.beat()
        self.desk = Desk(runtime.process, self.claims, 8)
        self._beside = beside
        runtime.stepper.start()

    def take(self, *deliveries: Delivery) -> "Future[None]":
        """Take a message of these activities from the queue."""
        return self._beside.run(self.desk.handle, message_of("compute", 3, deliveries))

    def die(self) -> None:
        """Be heard of no more, whatever its threads do."""
        models.Node.objects.filter(pk=self.runtime.process.presence.id).update(
            seen_at=self.runtime.now - LEASE - timedelta(seconds=1)
        )

    def close(self) -> None:
        self.desk.stop(DEADLINE_SECONDS)


@pytest.fixture
def workers(
    postgresql: str, redis_url: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> Iterator[tuple[Worker, Worker]]:
    if functions.lookup("tests/job") is None:
        activity("tests/job", pool="compute")(job)
    calls.clear()
    made = (Worker(new_runtime(), redis_url, beside), Worker(new_runtime(), redis_url, beside))
    for worker in made:
        worker.heart.beat()
    yield made
    for gate in gates.values():
        gate.open()
    gates.clear()
    for worker in made:
        worker.close()


def started(worker: Worker, body: str) -> tuple[str, list[Delivery]]:
    """Begin an instance; its id, and what it rang for."""
    define(body)
    runtime = worker.runtime
    birth = runtime.birth()
    begun: list[Any] = []
    runtime.stepper.begin(birth, begun.append)
    wait_until(lambda: begun, "the start")
    return birth.instance_id, list(runtime.bells.rung)


def apply(worker: Worker, instance: str, fact: facts.Fact) -> Any:
    outcomes: list[Any] = []
    worker.runtime.stepper.submit(instance, fact, outcomes.append)
    wait_until(lambda: outcomes, "the step")
    return outcomes[0]


def test_a_second_copy_of_a_job_is_dropped_by_the_claim_of_a_living_process(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    gates["work"] = Gate()
    instance, rung = started(one, CALL)
    running = one.take(*rung)
    gates["work"].await_arrival()

    two.take(*rung).result(DEADLINE_SECONDS)
    assert calls == ["work"]
    gates["work"].open()
    running.result()

    assert (calls, output_of(instance)) == (["work"], "work")


def test_a_second_copy_in_the_same_process_is_dropped(workers: tuple[Worker, Worker]) -> None:
    one, _ = workers
    gates["work"] = Gate()
    _, rung = started(one, CALL)
    running = one.take(*rung)
    gates["work"].await_arrival()

    one.take(*rung).result(DEADLINE_SECONDS)
    gates["work"].open()
    running.result()

    assert calls == ["work"]


def test_a_second_copy_takes_over_when_the_process_that_claimed_it_is_dead(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    gates["work"] = Gate()
    instance, rung = started(one, CALL)
    running = one.take(*rung)
    gates["work"].await_arrival()
    one.die()
    two.heart.beat()
    gate = gates.pop("work")

    two.take(*rung).result(DEADLINE_SECONDS)
    assert output_of(instance) == "work"
    gate.open()
    running.result()

    assert calls == ["work", "work"]
    assert runs_of(instance) == ["work"]


def test_a_higher_ring_runs_beside_an_earlier_one_and_the_first_commit_wins(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    gates["work"] = Gate()
    instance, rung = started(one, CALL)
    running = one.take(*rung)
    gates["work"].await_arrival()
    gate = gates.pop("work")
    lost = facts.ActivityLost(at=one.runtime.now, wait_id=rung[0].command.wait_id, ring=1)
    assert apply(two, instance, lost).changed

    again = wait_until(lambda: two.runtime.bells.rung)
    two.take(*again).result(DEADLINE_SECONDS)
    gate.open()
    running.result()

    assert [each.command.ring for each in again] == [2]
    assert calls == ["work", "work"]
    assert runs_of(instance) == ["work"]


def test_an_earlier_ring_that_comes_late_is_not_begun(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    instance, rung = started(one, CALL)
    lost = facts.ActivityLost(at=one.runtime.now, wait_id=rung[0].command.wait_id, ring=1)
    apply(two, instance, lost)

    one.take(*rung).result(DEADLINE_SECONDS)

    assert calls == []
    assert status_of(instance) == "running"


def test_the_next_holder_of_a_message_runs_only_what_the_dead_one_had_not_settled(
    workers: tuple[Worker, Worker],
) -> None:
    one, two = workers
    gates["b"] = Gate()
    instance, rung = started(one, CALLS)
    running = one.take(*rung)
    gates["b"].await_arrival()
    wait_until(lambda: runs_of(instance) == ["a"], "the first outcome")
    one.die()
    two.heart.beat()
    gate = gates.pop("b")

    two.take(*rung).result(DEADLINE_SECONDS)
    gate.open()
    running.result()

    assert calls == ["a", "b", "b"]
    assert (sorted(runs_of(instance)), output_of(instance)) == (["a", "b", "both"], ["a", "b"])


TIMED = "do: [{work: {call: tests/job, with: {key: work}, timeout: {after: {hours: 1}}}}]"
COMPETING = CALLS.replace("branches:", "compete: true, branches:")


def test_a_job_that_is_still_queued_is_not_begun_after_its_instance_was_cancelled(
    workers: tuple[Worker, Worker],
) -> None:
    one, two = workers
    instance, rung = started(one, CALL)
    apply(one, instance, facts.CancelRequested(at=one.runtime.now))

    two.take(*rung).result(DEADLINE_SECONDS)

    assert calls == []


def test_a_job_that_is_still_queued_is_not_begun_after_its_task_timed_out(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    instance, rung = started(one, TIMED)
    [timer] = [name for name, wait in state_of(instance).waits.items() if wait.kind == "timer"]
    later = one.runtime.now + timedelta(hours=2)
    apply(one, instance, facts.TimerFired(at=later, wait_id=timer))

    two.take(*rung).result(DEADLINE_SECONDS)

    assert (calls, status_of(instance)) == ([], "faulted")


def test_a_job_that_is_still_queued_is_not_begun_after_its_branch_lost(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    instance, rung = started(one, COMPETING)
    won = facts.ActivitySucceeded(at=one.runtime.now, wait_id=wait_of(instance, "a"), output="won")
    apply(one, instance, won)

    two.take(*rung).result(DEADLINE_SECONDS)

    assert (calls, output_of(instance)) == ([], "won")


def test_a_job_that_is_still_queued_is_not_begun_while_its_instance_is_suspended(
    workers: tuple[Worker, Worker],
) -> None:
    one, two = workers
    instance, rung = started(one, CALL)
    apply(one, instance, facts.SuspendRequested(at=one.runtime.now))
    two.take(*rung).result(DEADLINE_SECONDS)
    assert calls == []

    apply(one, instance, facts.ResumeRequested(at=one.runtime.now))
    again = wait_until(lambda: one.runtime.bells.rung[len(rung) :])
    two.take(*again).result(DEADLINE_SECONDS)

    assert (calls, output_of(instance)) == (["work"], "work")


def test_the_result_of_an_activity_that_ran_while_its_instance_was_cancelled_changes_nothing(
    workers: tuple[Worker, Worker],
) -> None:
    one, two = workers
    gates["work"] = Gate()
    instance, rung = started(one, CALL)
    running = two.take(*rung)
    gates["work"].await_arrival()

    apply(one, instance, facts.CancelRequested(at=one.runtime.now))
    gates["work"].open()
    running.result(DEADLINE_SECONDS)

    assert (status_of(instance), output_of(instance)) == ("cancelled", None)
    assert runs_of(instance) == ["work cancelled"]


def test_the_heartbeats_answer_stops_what_nobody_waits_for_any_more(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    gates["work"] = Gate()
    instance, rung = started(one, CALL)
    running = two.take(*rung)
    gates["work"].await_arrival()
    presence = two.runtime.process.presence
    [held] = presence.held.values()
    stopped: list[str] = []
    whole = held.cancel
    held.cancel = lambda: (stopped.append("stopped"), whole())
    two.heart.beat()
    assert stopped == []

    apply(one, instance, facts.CancelRequested(at=one.runtime.now))
    held.since -= LEASE
    two.heart.beat()
    gates["work"].open()
    running.result(DEADLINE_SECONDS)

    assert stopped == ["stopped"]
    assert not presence.held
