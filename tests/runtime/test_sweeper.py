"""The sweeper rings again for what is lost, and for nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
import uuid6

from tests.runtimes import (
    BOTH,
    ONE,
    Runtime,
    checkpoint_of,
    define,
    long_ago,
    problem_of,
    runs_of,
    status_of,
    wait_of,
)
from workflows import models
from workflows.engine import facts
from workflows.engine.problems import problem
from workflows.runtime.sweeper import Frontier, Sweeper

LEASE = timedelta(seconds=30)
T = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = "compute/3"


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def test_a_stamp_has_been_passed_once_a_later_one_was_seen_long_enough_ago() -> None:
    frontier = Frontier()

    frontier.see("q", at(10), at(5))

    assert frontier.passed("q", at(4), at(10))
    assert not frontier.passed("q", at(5), at(10))
    assert not frontier.passed("q", at(4), at(9))
    assert not frontier.passed("another", at(4), at(10))


def test_later_sightings_do_not_put_off_what_an_earlier_one_has_shown() -> None:
    frontier = Frontier()

    for second in range(10, 100, 10):
        frontier.see("q", at(second), at(second - 5))

    assert frontier.passed("q", at(4), at(10))
    assert not frontier.passed("q", at(6), at(10))
    assert frontier.passed("q", at(6), at(20))


def test_a_frontier_forgets_what_later_sightings_cover() -> None:
    frontier = Frontier()
    for second in range(1000):
        frontier.see("q", at(second), at(second))

    frontier.forget(at(990))

    assert len(frontier.sightings["q"]) == 10
    assert frontier.passed("q", at(985), at(990))


class Field:
    """A sweeper and the processes that it hears of, with time as the test wants it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.sweeper: Sweeper = runtime.new_sweeper(LEASE.total_seconds())
        self.node = models.Node.objects.create(
            pk=uuid6.uuid7(), name="worker", roles="compute", started_at=runtime.now, seen_at=runtime.now
        )

    def report(self, *, taken: datetime | None = None, held: object = (), seen_at: datetime | None = None) -> None:
        """Have the process heartbeat."""
        self.node.seen_at = seen_at or self.runtime.now
        self.node.held = list(held)  # type: ignore[call-overload]
        if taken is not None:
            self.node.taken = {QUEUE: taken.isoformat()}
        self.node.save()

    def sweep(self, instance: str) -> list[str]:
        """Sweep once; what rang again."""
        models.Checkpoint.objects.filter(pk=instance).update(leased_until=self.runtime.now - LEASE)
        before = len(self.runtime.bells.rung)
        self.sweeper.sweep()
        self.runtime.settle()
        return self.runtime.bells.names[before:]

    def pass_time(self, share: float = 2 / 3) -> None:
        """Let a share of a lease pass since everything that the sweeper has seen."""
        ago = LEASE * share + timedelta(seconds=0.1)
        for known in self.sweeper._frontier.sightings.values():
            for place, (seen_at, stamp) in enumerate(known):
                known[place] = (seen_at - ago, stamp)


@pytest.fixture
def field(runtime: Runtime) -> Field:
    define(ONE)
    return Field(runtime)


def test_a_job_that_stands_in_a_long_queue_is_never_rung_again(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 100_000}
    field.report(taken=field.runtime.now - timedelta(hours=1))

    rung = []
    for _ in range(5):
        field.pass_time(10)
        rung += field.sweep(instance)

    assert rung == []


def test_a_job_that_is_rung_while_the_sweeper_walks_is_not_taken_for_one_of_before(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, later = field.runtime.start(), list[str]()
    field.runtime.bells.waiting = {QUEUE: 5}
    field.sweep(earlier)
    field.report(taken=field.runtime.now)
    field.sweep(earlier)
    field.pass_time()
    read = field.runtime.records.open_work

    def start_and_read(limit: int, after: str, *, early: bool = False) -> object:
        if not later:
            later.append(field.runtime.start())
            models.Checkpoint.objects.update(leased_until=field.runtime.now - LEASE)
        return read(limit, after, early=early)

    monkeypatch.setattr(field.runtime.records, "open_work", start_and_read)

    field.sweep(earlier)

    rung = [(each.instance_id, each.command.ring) for each in field.runtime.bells.rung]
    assert [ring for instance, ring in rung if instance == later[0]] == [1]


def test_a_job_that_its_queue_has_moved_past_is_rung_again_after_two_thirds_of_a_lease(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 5}
    field.report(taken=field.runtime.now)

    assert field.sweep(instance) == []
    field.pass_time(1 / 2)
    assert field.sweep(instance) == []
    field.pass_time(1 / 4)
    assert field.sweep(instance) == ["work 2"]


def test_a_broker_that_was_flushed_is_noticed_on_an_idle_queue(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 0}

    assert field.sweep(instance) == []
    field.pass_time()

    assert field.sweep(instance) == ["work 2"]


def test_an_empty_queue_says_nothing_of_a_ring_that_is_on_its_way_to_it(field: Field) -> None:
    instance = field.runtime.start()
    field.runtime.bells.waiting = {QUEUE: 0}
    assert field.sweep(instance) == []

    field.runtime.bells.waiting = {QUEUE: 100_000}
    field.pass_time()

    assert field.sweep(instance) == []


def test_a_queue_of_another_level_says_nothing(field: Field) -> None:
    instance = field.runtime.start(priority=1)
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 0, "http/1": 0, "compute/1": 7}
    field.sweep(instance)
    field.pass_time()

    assert field.sweep(instance) == []


def test_what_a_living_process_holds_is_not_rung_again(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 0}
    field.report(held=[[instance, wait_of(instance, "work"), 1]])
    field.sweep(instance)

    rung = []
    for _ in range(5):
        field.pass_time(10)
        rung += field.sweep(instance)

    assert rung == []


def test_what_a_living_process_held_of_an_earlier_ring_does_not_count(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.apply(instance, facts.ActivityLost(at=field.runtime.now, wait_id=wait_of(instance, "work"), ring=1))
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 0}
    field.report(held=[[instance, wait_of(instance, "work"), 1]])
    field.sweep(instance)
    field.pass_time()

    assert field.sweep(instance) == ["work 3"]


def test_there_is_no_verdict_before_a_living_process_could_report_what_it_took(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.waiting = {QUEUE: 0}
    field.report(seen_at=field.runtime.now - LEASE * 0.9)
    field.sweep(instance)
    field.pass_time()
    assert field.sweep(instance) == []

    field.report()

    assert field.sweep(instance) == ["work 2"]


def test_an_activity_that_three_processes_died_of_faults_its_instance_with_a_problem_that_says_so(
    field: Field,
) -> None:
    instance = field.runtime.start()
    wait = wait_of(instance, "work")

    for ring in (1, 2, 3):
        fact = facts.ActivityLost(at=field.runtime.now, wait_id=wait, ring=ring, blamed=True)
        field.runtime.apply(instance, fact)

    assert status_of(instance) == "faulted"
    assert problem_of(instance)["type"].endswith("/runtime")
    assert problem_of(instance)["instance"] == "/do/0/work"
    assert "3 processes died while they ran the task 'work'" in problem_of(instance)["detail"]
    assert field.runtime.bells.names == ["work", "work 2", "work 3"]


def test_rings_that_were_lost_before_anybody_claimed_them_do_not_count_as_deaths(field: Field) -> None:
    instance = field.runtime.start()

    for ring in range(1, 8):
        fact = facts.ActivityLost(at=field.runtime.now, wait_id=wait_of(instance, "work"), ring=ring)
        field.runtime.apply(instance, fact)

    assert status_of(instance) == "running"


def test_two_sweepers_that_find_one_lost_ring_ring_once(field: Field) -> None:
    instance = field.runtime.start()
    wait = wait_of(instance, "work")

    outcomes = field.runtime.apply(
        instance, *(facts.ActivityLost(at=field.runtime.now, wait_id=wait, ring=1) for _ in range(2))
    )

    assert [outcome.changed for outcome in outcomes] == [True, False]
    assert field.runtime.bells.names == ["work", "work 2"]


def test_a_lost_branch_does_not_hide_behind_a_busy_sibling(runtime: Runtime) -> None:
    looping = "{a: {do: [{a1: {call: work}}, {a2: {call: work}}, {a3: {call: work}}]}}"
    define(BOTH.replace("{a: {call: work}}", looping))
    instance = runtime.start()
    first_look = checkpoint_of(instance)
    assert first_look is not None

    for task in ("a1", "a2"):
        runtime.succeed(instance, task)

    row = checkpoint_of(instance)
    assert row is not None
    assert row.leased_until == first_look.leased_until


def test_a_state_that_cannot_be_read_does_not_hide_the_others(field: Field) -> None:
    broken, lost = field.runtime.start(), field.runtime.start()
    for each in (broken, lost):
        long_ago(each)
    models.Checkpoint.objects.filter(pk=broken).update(state=b"\x00[99,[],[]]")
    field.runtime.bells.waiting = {QUEUE: 0}
    field.sweep(lost)
    field.pass_time()

    assert field.sweep(lost) == ["work 2"]


def test_a_broker_that_is_away_keeps_the_sweeper_from_no_other_work(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.is_away = True

    assert field.sweep(instance) == []

    row = checkpoint_of(instance)
    assert row is not None
    assert row.leased_until is not None
    assert row.leased_until > field.runtime.now


def test_a_suspended_instance_is_left_alone(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.apply(instance, facts.SuspendRequested(at=field.runtime.now))
    field.runtime.bells.waiting = {QUEUE: 0}
    field.sweep(instance)
    field.pass_time()

    assert field.sweep(instance) == []
    assert status_of(instance) == "suspended"


def test_the_end_of_a_fault_that_was_handled_leaves_nothing_to_sweep(field: Field) -> None:
    instance = field.runtime.start()
    wait = wait_of(instance, "work")
    failed = facts.ActivityFailed(at=field.runtime.now, wait_id=wait, problem=problem("communication", "away"))

    field.runtime.apply(instance, failed)

    row = checkpoint_of(instance)
    assert row is not None
    assert (row.has_open_work, row.leased_until, row.parked) == (False, None, True)
    assert runs_of(instance) == ["work faulted"]


def test_processes_that_have_been_silent_for_long_are_forgotten(field: Field) -> None:
    field.report(seen_at=field.runtime.now - LEASE * 101)

    field.sweeper.sweep()

    assert not models.Node.objects.exists()
