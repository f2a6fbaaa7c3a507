"""What only PostgreSQL has: rows that others hold, connections that die, statements that take too long."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from django.db import connection

from tests.rows import after, birth, history, stored, update
from tests.runtimes import ONE, Beside, Gate, backend, define, terminate
from workflows import models
from workflows.runtime.process import make_records
from workflows.runtime.records import Changes, Records, UnreachableError


@pytest.fixture
def postgres(postgresql: str) -> Records:
    define(ONE)
    return make_records()


def test_a_row_that_another_transaction_holds_is_busy_and_one_that_is_gone_is_not(
    postgres: Records, beside: Beside
) -> None:
    held, gone = stored(postgres, birth(), birth())
    gate = Gate()

    def hold() -> None:
        make_records().lock([held, gone], wait=False)
        gate()
        make_records().save(Changes(removed=[gone]))

    holding = beside.run(hold)
    gate.await_arrival()
    first = postgres.lock([held, gone], wait=False)
    postgres.rollback()
    gate.open()
    holding.result()
    second = postgres.lock([held, gone], wait=False)
    postgres.rollback()

    assert (first.rows, first.busy) == ({}, {held, gone})
    assert (set(second.rows), second.busy) == ({held}, frozenset())


def test_who_waits_gets_the_row_as_the_other_left_it(postgres: Records, beside: Beside) -> None:
    [instance] = stored(postgres)
    gate = Gate()

    def hold() -> None:
        make_records().lock([instance], wait=False)
        gate()
        make_records().save(Changes(checkpoints=[after(instance, before=1, step=2)]))

    holding = beside.run(hold)
    gate.await_arrival()
    waiting = beside.run(lambda: (make_records().lock([instance], wait=True), make_records().rollback())[0])
    gate.open()
    holding.result()

    assert waiting.result().rows[instance].step == 2


def test_a_look_passes_over_rows_that_are_held(postgres: Records, beside: Beside) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    held, free = stored(postgres, birth(), birth(), has_open_work=True, leased_until=past)
    gate = Gate()
    holding = beside.run(lambda: (make_records().lock([held], wait=False), gate(), make_records().rollback()))
    gate.await_arrival()

    postgres.looked([held, free], 60)
    gate.open()
    holding.result()

    assert [row.instance_id for row in postgres.open_work(9, "")] == [held]


def test_a_lone_surrogate_in_a_text_fails_no_step(postgres: Records) -> None:
    [instance] = stored(postgres)

    update(postgres, after(instance, before=1, step=2), history=[history(instance, step=2, name="a\ud800b")])

    assert models.History.objects.get().name == "a?b"


def test_a_helper_that_fails_outside_of_a_transaction_leaves_a_usable_connection(postgres: Records) -> None:
    [instance] = stored(postgres)

    with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
        postgres.peek(["no-uuid"])

    assert postgres.steps([instance]) == {instance: 1}


def test_a_transaction_that_failed_is_over_once_it_was_rolled_back(postgres: Records) -> None:
    [instance] = stored(postgres)
    postgres.lock([instance], wait=False)
    with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
        postgres.peek(["no-uuid"])

    postgres.rollback()

    assert set(postgres.lock([instance], wait=False).rows) == {instance}
    postgres.rollback()


STATEMENTS: dict[str, Callable[[Records, str], object]] = {
    "lock": lambda records, instance: records.lock([instance], wait=False),
    "peek": lambda records, instance: records.peek([instance]),
    "steps": lambda records, instance: records.steps([instance]),
    "now": lambda records, instance: records.now(),
    "next_due": lambda records, instance: records.next_due(),
    "lock_due": lambda records, instance: records.lock_due(1, ()),
    "open_work": lambda records, instance: records.open_work(1, ""),
    "looked": lambda records, instance: records.looked([instance], 1),
    "postpone": lambda records, instance: records.postpone([instance], 1),
    "ring_all": lambda records, instance: records.ring_all(),
}


@pytest.mark.parametrize("name", list(STATEMENTS))
def test_a_connection_that_died_is_reported_once_and_then_replaced(
    postgres: Records, beside: Beside, name: str
) -> None:
    [instance] = stored(postgres)
    beside.run(terminate, backend()).result()

    with pytest.raises(UnreachableError):
        STATEMENTS[name](postgres, instance)
    STATEMENTS[name](postgres, instance)
    postgres.rollback()

    assert postgres.steps([instance]) == {instance: 1}


def test_a_statement_that_takes_too_long_is_no_outage(postgres: Records) -> None:
    [instance] = stored(postgres)
    postgres.lock([instance], wait=False)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 1")

    with pytest.raises(psycopg2.errors.QueryCanceled):
        postgres._run(connection.connection.cursor(), "SELECT pg_sleep(5)")  # type: ignore[attr-defined]
    postgres.rollback()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")

    assert postgres.steps([instance]) == {instance: 1}


def test_the_session_frees_its_rows_and_notices_a_lost_peer_well_within_half_a_lease(postgres: Records) -> None:
    lease = timedelta(seconds=30)

    with connection.cursor() as cursor:
        found = {}
        for name in ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"):
            cursor.execute("SELECT setting::int FROM pg_settings WHERE name = %s", (name,))
            found[name] = timedelta(milliseconds=cursor.fetchone()[0])
    options = connection.settings_dict["OPTIONS"]
    noticed = options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"]

    assert found["idle_in_transaction_session_timeout"] <= lease / 2
    assert found["lock_timeout"] <= found["statement_timeout"]
    assert timedelta(seconds=noticed) < lease / 2
    assert timedelta(milliseconds=options["tcp_user_timeout"]) < lease / 2
