"""Races between steps and the database or the broker: rows 4 and 6 to 9 of docs/architecture.md, part 4."""

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.db import connection

from tests.runtimes import (
    BOTH,
    ONE,
    TWO,
    Beside,
    Runtime,
    backend,
    checkpoint_of,
    define,
    instance_of,
    let_time_pass,
    lost,
    make_due,
    once,
    output_of,
    phases_of,
    problem_of,
    runs_of,
    state_of,
    status_of,
    terminate,
)
from workflows import models
from workflows.engine import encode_state, facts
from workflows.runtime.ports import Outcome
from workflows.runtime.records import Changes
from workflows.runtime.step import Due


@pytest.fixture
def on_postgresql(postgresql: str, new_runtime: Callable[[], Runtime]) -> Runtime:
    return new_runtime()


def refusing(instance: str) -> Callable[[Changes], None]:
    """What cannot write a step of this instance."""

    def refuse(changes: Changes) -> None:
        if any(after.instance_id == instance for after in changes.checkpoints) or instance in changes.removed:
            raise ValueError("this cannot be written")

    return refuse


def test_a_step_that_cannot_be_written_fails_alone_and_its_neighbours_commit(runtime: Runtime) -> None:
    define(TWO)
    instances = [runtime.start() for _ in range(5)]
    culprit = instances[2]
    runtime.records.before["save"] = refusing(culprit)

    outcomes: dict[str, Outcome] = {}
    for each in instances:
        fact = runtime.success(each, "first")
        runtime.stepper.submit(each, fact, lambda outcome, each=each: outcomes.update({each: outcome}))
    runtime.settle()

    assert [outcomes[each].changed for each in instances] == [True, True, False, True, True]
    assert isinstance(outcomes[culprit].error, ValueError)
    assert [status_of(each) for each in instances] == ["running", "running", "faulted", "running", "running"]
    assert sorted(runtime.bells.names) == ["first"] * 5 + ["second"] * 4
    assert problem_of(culprit)["type"].endswith("/runtime")
    assert "this cannot be written" in problem_of(culprit)["detail"]
    assert phases_of(culprit) == ["running", "faulted"]


def test_a_step_that_fails_once_is_taken_again(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    with once(runtime.records.before, "save", refusing(instance)):
        outcome = runtime.succeed(instance, "first")

    assert outcome.changed
    assert (status_of(instance), runs_of(instance)) == ("running", ["first"])


def test_a_buried_instance_is_left_alone_until_it_is_retried(runtime: Runtime) -> None:
    define(BOTH)
    instance = runtime.start()
    other_answer = runtime.success(instance, "b")
    runtime.records.before["save"] = refusing(instance)
    runtime.succeed(instance, "a")
    runtime.records.before.clear()
    before = encode_state(state_of(instance))

    late, _, _ = runtime.apply(instance, other_answer, Due(), facts.CancelRequested(at=runtime.now))
    runtime.timekeeper.look()

    assert not late.changed
    assert encode_state(state_of(instance)) == before
    assert status_of(instance) == "faulted"


@pytest.mark.parametrize("source", ["failed", "beginning"])
def test_a_buried_instance_can_be_retried(runtime: Runtime, source: str) -> None:
    define(TWO)
    instance = runtime.start()
    runtime.records.before["save"] = refusing(instance)
    runtime.succeed(instance, "first")
    runtime.records.before.clear()

    [outcome] = runtime.apply(instance, facts.RetryRequested(at=runtime.now, source=source, by="ann"))

    assert outcome.changed
    row = instance_of(instance)
    assert (row.status, row.ended_at, row.problem) == ("running", None, None)
    runtime.succeed(instance, "first")
    runtime.succeed(instance, "second", "done")
    assert (status_of(instance), output_of(instance)) == ("completed", "done")
    assert runtime.bells.names == ["first", "first", "second"]
    assert phases_of(instance) == ["running", "faulted", "cancelled", "running", "completed"]


def test_a_retry_of_a_buried_instance_from_nowhere_changes_nothing(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    runtime.records.before["save"] = refusing(instance)
    runtime.succeed(instance, "first")
    runtime.records.before.clear()

    [outcome] = runtime.apply(instance, facts.RetryRequested(at=runtime.now, source="/do/7/nowhere", input=1))

    assert not outcome.changed
    assert (status_of(instance), phases_of(instance)) == ("faulted", ["running", "faulted"])


def test_a_request_that_cannot_be_written_is_refused_and_the_instance_goes_on(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    runtime.records.before["save"] = refusing(instance)

    [outcome] = runtime.apply(instance, facts.SuspendRequested(at=runtime.now))
    runtime.records.before.clear()

    assert isinstance(outcome.error, ValueError)
    assert status_of(instance) == "running"
    assert runtime.succeed(instance, "first").changed


def test_of_facts_that_arrived_together_only_the_one_that_cannot_be_written_fails(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    def refuse_suspension(changes: Changes) -> None:
        if any("suspended" in row for row in changes.history):
            raise ValueError("this cannot be written")

    runtime.records.before["save"] = refuse_suspension

    good, bad = runtime.apply(instance, runtime.success(instance, "first"), facts.SuspendRequested(at=runtime.now))

    assert (good.changed, good.error) == (True, None)
    assert isinstance(bad.error, ValueError)
    assert (status_of(instance), runs_of(instance)) == ("running", ["first"])


def test_a_start_that_cannot_be_written_is_told_so_and_leaves_nothing(runtime: Runtime) -> None:
    define(ONE)
    runtime.records.before["save"] = lambda changes: (_ for _ in ()).throw(ValueError("no"))
    outcomes: list[Outcome] = []

    runtime.stepper.begin(runtime.birth(), outcomes.append)
    runtime.settle()

    assert isinstance(outcomes[0].error, ValueError)
    assert not models.Instance.objects.exists()


def test_what_the_database_refuses_for_its_size_is_no_outage(on_postgresql: Runtime) -> None:
    runtime = on_postgresql
    define("do: [{work: {call: work}}, {hear: {listen: {to: {one: {with: {type: '${ $workflow.input.kind }'}}}}}}]")
    define(ONE, name="neighbour")
    instance, neighbour = runtime.start(input={"kind": secrets.token_hex(4000)}), runtime.start("neighbour")

    runtime.stepper.submit(instance, runtime.success(instance, "work"))
    runtime.stepper.submit(neighbour, runtime.success(neighbour, "work"))
    runtime.settle()

    assert (status_of(instance), status_of(neighbour)) == ("faulted", "completed")
    assert "index row size" in problem_of(instance)["detail"]


def test_something_that_goes_wrong_after_the_commit_does_not_take_the_step_again(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    def break_down(deliveries: object) -> None:
        raise RuntimeError("a mistake of ours")

    runtime.bells.dispatch = break_down  # type: ignore[method-assign]
    fact = runtime.success(instance, "first")
    runtime.stepper.submit(instance, fact, break_down)
    runtime.settle()

    assert (status_of(instance), runs_of(instance)) == ("running", ["first"])
    row = checkpoint_of(instance)
    assert row is not None
    assert row.due_at is not None


def test_a_process_that_stops_between_lock_and_commit_loses_its_lock_and_takes_the_step_again(
    on_postgresql: Runtime, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    stopped, living = on_postgresql, new_runtime()
    define(TWO)
    instance = stopped.start()
    fact = stopped.success(instance, "first")

    def stand_still(_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 100")
        assert beside.run(living.apply, instance, fact).result()[0].changed

    with once(stopped.records.before, "save", stand_still):
        [outcome] = stopped.apply(instance, fact)

    assert (outcome.changed, outcome.error) == (False, None)
    assert (status_of(instance), runs_of(instance)) == ("running", ["first"])
    assert living.bells.names == ["second"]


def test_a_connection_that_dies_before_the_commit_has_the_step_taken_again(
    on_postgresql: Runtime, beside: Beside
) -> None:
    runtime = on_postgresql
    define(TWO)
    instance = runtime.start()

    with once(runtime.records.before, "save", lambda _: beside.run(terminate, backend()).result()):
        outcome = runtime.succeed(instance, "first")

    assert outcome.changed
    assert runs_of(instance) == ["first"]
    assert runtime.bells.names == ["first", "second"]


def test_a_connection_that_is_gone_is_not_replaced_by_one_that_holds_no_lock(on_postgresql: Runtime) -> None:
    runtime = on_postgresql
    define(TWO)
    instance = runtime.start()

    with once(runtime.records.before, "save", lambda _: connection.close()):
        outcome = runtime.succeed(instance, "first")

    assert outcome.changed
    assert runs_of(instance) == ["first"]


def test_a_commit_whose_answer_was_lost_is_seen_by_the_wait_that_is_gone_and_rings_again(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()

    with once(runtime.records.after, "save", lost):
        outcome = runtime.succeed(instance, "first")

    assert (outcome.changed, outcome.error) == (False, None)
    assert runs_of(instance) == ["first"]
    assert runtime.bells.names == ["first", "second"]


def test_a_start_whose_commit_was_not_answered_is_found_and_not_doubled(runtime: Runtime) -> None:
    define(ONE)
    outcomes: list[Outcome] = []

    with once(runtime.records.after, "save", lost):
        runtime.stepper.begin(runtime.birth(), outcomes.append)
        runtime.settle()

    assert [(outcome.found, outcome.error) for outcome in outcomes] == [(True, None)]
    assert [row.status for row in models.Instance.objects.all()] == ["running"]
    assert runtime.bells.names == ["work"]


def test_an_end_whose_commit_was_not_answered_is_not_doubled(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()

    with once(runtime.records.after, "save", lost):
        outcome = runtime.succeed(instance, "work")

    assert (outcome.found, outcome.error) == (False, None)
    assert (status_of(instance), phases_of(instance)) == ("completed", ["running", "completed"])


def test_a_ring_that_could_not_be_published_is_made_good_by_a_timekeeper(runtime: Runtime) -> None:
    define(TWO)
    instance = runtime.start()
    runtime.bells.is_away = True
    runtime.succeed(instance, "first")
    runtime.bells.is_away = False

    make_due(instance)
    runtime.timekeeper.look()

    assert runtime.bells.names == ["first", "second"]
    row = checkpoint_of(instance)
    assert row is not None
    assert row.due_at is None


def test_a_ring_that_is_owed_is_not_forgotten_by_a_step_in_between(runtime: Runtime) -> None:
    define(BOTH.replace("{b: {call: work}}", "{b: {do: [{b1: {call: work}}, {b2: {call: work}}]}}"))
    runtime.bells.is_away = True
    instance = runtime.start()
    runtime.bells.is_away = False
    runtime.succeed(instance, "b1")
    assert runtime.bells.names == ["b2"]

    make_due(instance)
    runtime.timekeeper.look()

    assert sorted(runtime.bells.names) == ["a", "b2", "b2"]


def test_a_ring_that_is_owed_does_not_delay_or_drop_a_timer(runtime: Runtime) -> None:
    define("do: [{both: {fork: {branches: [{a: {call: work}}, {nap: {wait: {hours: 1}}}]}}}]")
    runtime.bells.is_away = True
    instance = runtime.start()
    runtime.bells.is_away = False

    make_due(instance)
    runtime.timekeeper.look()
    row = checkpoint_of(instance)
    assert row is not None
    assert row.due_at == state_of(instance).due_at()
    let_time_pass(instance, hours=2)
    runtime.timekeeper.look()

    assert runtime.bells.names == ["a"]
    assert runs_of(instance) == ["nap"]


def test_results_wait_in_memory_while_the_database_is_away(
    on_postgresql: Runtime, beside: Beside, postgresql: str
) -> None:
    runtime = on_postgresql
    define(TWO)
    instance = runtime.start()
    fact = runtime.success(instance, "first")
    birth = runtime.birth()
    name = urlsplit(postgresql).path[1:]
    outcomes: list[Outcome] = []

    def open_again(_: object) -> None:
        with elsewhere(postgresql) as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    with elsewhere(postgresql) as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        cursor.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (name,))
    runtime.stepper.submit(instance, fact, outcomes.append)
    runtime.stepper.begin(birth, outcomes.append)
    tries = iter(range(3))
    runtime.records.before["lock"] = lambda *_: open_again(None) if next(tries, None) == 2 else None
    runtime.settle()

    assert [outcome.changed for outcome in outcomes] == [True, True]
    assert (runs_of(instance), status_of(birth.instance_id)) == (["first"], "running")
    assert sorted(runtime.bells.names) == ["first", "first", "second"]


class elsewhere:  # noqa: N801  (reads as a preposition)
    """A cursor on the same server, in another database."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)._replace(path="/template1").geturl()

    def __enter__(self) -> object:
        self._connection = psycopg2.connect(self._url)
        self._connection.autocommit = True
        return self._connection.cursor()

    def __exit__(self, *_: object) -> None:
        self._connection.close()
