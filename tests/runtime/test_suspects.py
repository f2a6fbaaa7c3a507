"""Who is suspected of a death, and who is found guilty of it."""

from datetime import timedelta
from uuid import UUID

import pytest
import uuid6

from tests.runtime.test_sweeper import LEASE, QUEUE, Field
from tests.runtimes import ONE, Runtime, define, long_ago, state_of, status_of, wait_of
from workflows import models
from workflows.engine import facts


@pytest.fixture
def field(runtime: Runtime) -> Field:
    define(ONE)
    return Field(runtime)


def test_what_a_process_held_that_is_dead_is_rung_again_under_suspicion(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    wait = wait_of(instance, "work")
    field.runtime.bells.waiting = {QUEUE: 0}
    field.runtime.bells.dead.add((instance, wait, 1))
    field.report(held=[[instance, wait, 1]], seen_at=field.runtime.now - LEASE * 2)
    field.sweep(instance)
    field.pass_time()

    assert field.sweep(instance) == ["work 2"]
    assert state_of(instance).waits[wait].deaths == 1


def die(field: Field, *, roles: str = "compute", ago: timedelta = LEASE * 2, trying: object = ()) -> None:
    """Have a process be one that was heard of last so long ago."""
    seen = field.runtime.now - ago
    models.Node.objects.create(pk=uuid6.uuid7(), name="dead", roles=roles, started_at=seen, seen_at=seen, trying=trying)


def lose(field: Field, instance: str) -> list[str]:
    """Let the ring of an instance be lost; what rang again."""
    field.runtime.bells.waiting = {QUEUE: 0}
    field.report()
    field.sweep(instance)
    field.pass_time()
    return field.sweep(instance)


@pytest.mark.parametrize(
    ("roles", "ago", "suspected"),
    [
        ("compute,io", timedelta(seconds=60), 1),
        ("http,maintenance", timedelta(seconds=60), 0),
        ("compute", timedelta(seconds=120), 0),
    ],
    ids=["of its pool", "of another pool", "long before it was rung"],
)
def test_without_claims_whatever_a_dead_process_may_have_had_in_hand_is_suspected(
    field: Field, roles: str, ago: timedelta, suspected: int
) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.knows_no_claims = True
    die(field, roles=roles, ago=ago)

    assert lose(field, instance) == ["work 2"]

    assert state_of(instance).waits[wait_of(instance, "work")].deaths == suspected


def test_claims_that_have_run_out_clear_nobody(field: Field) -> None:
    instance = field.runtime.start()
    for _ in range(60):
        long_ago(instance)
    die(field, ago=LEASE * 60)
    die(field, roles="http", ago=LEASE * 60)

    lose(field, instance)

    assert state_of(instance).waits[wait_of(instance, "work")].deaths == 1


def test_one_death_is_held_against_a_wait_once(field: Field) -> None:
    instance = field.runtime.start()
    long_ago(instance)
    field.runtime.bells.knows_no_claims = True
    die(field)

    assert lose(field, instance) == ["work 2"]
    field.pass_time(10)
    field.sweep(instance)
    field.pass_time(10)
    field.sweep(instance)

    assert state_of(instance).waits[wait_of(instance, "work")].deaths == 1


def test_a_suspect_that_was_in_hand_at_further_deaths_is_not_found_guilty_by_that(field: Field) -> None:
    instance = field.runtime.start()
    wait = wait_of(instance, "work")
    for _ in range(5):
        long_ago(instance)
        field.runtime.bells.dead.add((instance, wait, state_of(instance).waits[wait].ring))
        lose(field, instance)

    assert state_of(instance).waits[wait].ring >= 6
    assert (status_of(instance), state_of(instance).waits[wait].deaths) == ("running", 2)


def test_a_process_that_died_of_what_a_suspect_had_given_is_held_against_that_one_alone(field: Field) -> None:
    guilty, beside = field.runtime.start(), field.runtime.start()
    for instance in (guilty, beside):
        for ring in (1, 2):
            wait = wait_of(instance, "work")
            field.runtime.apply(
                instance, facts.ActivityLost(at=field.runtime.now, wait_id=wait, ring=ring, suspected=True)
            )
        long_ago(instance)
    field.runtime.bells.dead |= {(instance, wait_of(instance, "work"), 3) for instance in (guilty, beside)}
    die(field, trying=[guilty, wait_of(guilty, "work"), 3])

    models.Checkpoint.objects.update(leased_until=field.runtime.now - LEASE)
    lose(field, beside)
    field.sweep(guilty)

    assert (status_of(guilty), status_of(beside)) == ("faulted", "running")
    assert models.Instance.objects.get(given_up=True).pk == UUID(guilty)
