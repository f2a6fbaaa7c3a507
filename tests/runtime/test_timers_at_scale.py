"""Many timers at once, and several timekeepers: each fires once, whoever dies."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection

from tests.clocks import SetClock
from tests.rows import birth, stored
from tests.runtimes import (
    DEADLINE_SECONDS,
    ONE,
    Beside,
    Gate,
    Runtime,
    backend,
    define,
    due_in,
    let_time_pass,
    runs_of,
    terminate,
)
from workflows import models

NAP = "do: [{nap: {wait: {milliseconds: 1}}}, {work: {call: work}}]"
MANY = 2000


def start_many(runtime: Runtime, count: int, **more: object) -> None:
    """Begin them in a few transactions."""
    for _ in range(count):
        runtime.stepper.begin(runtime.birth(**more), lambda _: None)  # type: ignore[arg-type]
    runtime.settle()


def at_first(runtime: Runtime, meet: Callable[[], object]) -> Callable[[object], None]:
    """Have it meet the other with its first pick in hand."""

    def hook(_: object) -> None:
        del runtime.records.after["lock_due"]
        meet()

    return hook


def look_until_nothing_is_due(runtime: Runtime) -> None:
    while runtime.records.next_due()[0] is not None:
        runtime.timekeeper.look()


def test_two_timekeepers_share_thousands_of_timers_and_fire_each_once(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    define(NAP)
    one, other = new_runtime(), new_runtime()
    start_many(one, MANY)
    together = Barrier(2, timeout=DEADLINE_SECONDS)
    for each in (one, other):
        each.records.after["lock_due"] = at_first(each, together.wait)

    both = [beside.run(look_until_nothing_is_due, each) for each in (one, other)]
    for each in both:
        each.result()

    fired = models.History.objects.filter(name="nap").values_list("instance", flat=True)
    assert (len(fired), len(set(fired))) == (MANY, MANY)
    rung = Counter(delivery.instance_id for each in (one, other) for delivery in each.bells.rung)
    assert (len(rung), max(rung.values())) == (MANY, 1)
    assert all(each.bells.rung for each in (one, other))


def test_what_a_timekeeper_had_picked_when_it_died_is_fired_once_by_another(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    define("do: [{nap: {wait: {minutes: 1}}}, {work: {call: work}}]")
    first, second = new_runtime(), new_runtime()
    instance = first.start()
    let_time_pass(instance, hours=1)
    gate, pids = Gate(), list[int]()
    first.records.after["lock_due"] = lambda _: pids.append(backend())

    def die(*_: object) -> None:
        gate()
        raise SystemExit

    first.records.before["save"] = die

    dying = beside.run(first.timekeeper.look)
    gate.await_arrival()
    second.timekeeper.look()
    assert runs_of(instance) == []
    terminate(pids[0])
    second.timekeeper.look()
    gate.open()
    with pytest.raises(SystemExit):
        dying.result()

    assert runs_of(instance) == ["nap"]
    assert (first.bells.names, second.bells.names) == ([], ["work"])


def test_a_timekeeper_whose_connection_dies_with_a_pick_in_hand_steps_it_after_all(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    define("do: [{nap: {wait: {minutes: 1}}}, {work: {call: work}}]")
    runtime = new_runtime()
    instance = runtime.start()
    let_time_pass(instance, hours=1)

    def cut(*_: object) -> None:
        del runtime.records.before["save"]
        pid = backend()
        beside.run(terminate, pid).result()

    runtime.records.before["save"] = cut
    runtime.timekeeper.look()

    assert runs_of(instance) == ["nap"]
    assert runtime.bells.names == ["work"]


def test_a_thousand_starts_for_one_later_moment_begin_then_and_once(runtime: Runtime, set_clock: SetClock) -> None:
    define(ONE)
    moment = runtime.now + timedelta(hours=1)
    start_many(runtime, 1000, start_at=moment)
    runtime.timekeeper.look()
    assert models.Instance.objects.filter(status="pending").count() == 1000

    set_clock(timedelta(hours=2))
    while due_in(runtime.records):
        runtime.timekeeper.look()

    assert models.Instance.objects.filter(status="running").count() == 1000
    assert len({delivery.instance_id for delivery in runtime.bells.rung}) == len(runtime.bells.rung) == 1000


def test_looking_for_what_is_due_reads_nothing_that_is_not(postgresql: str, new_runtime: Callable[[], Runtime]) -> None:
    define(ONE)
    runtime = new_runtime()
    later = runtime.now + timedelta(hours=1)
    stored(runtime.records, *[birth() for _ in range(2000)], due_at=later)
    [overdue] = stored(runtime.records, due_at=runtime.now - timedelta(hours=1))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_checkpoint")

    runtime.records.next_due()
    found = runtime.records.lock_due(512, ()).rows
    read = rows_read()
    runtime.records.rollback()

    assert list(found) == [overdue]
    assert read <= 5


def test_an_activity_that_ends_costs_the_same_however_many_timeouts_are_pending(
    postgresql: str, new_runtime: Callable[[], Runtime]
) -> None:
    define("do: [{work: {call: work, timeout: {after: {hours: 1}}}}]")
    runtime = new_runtime()
    start_many(runtime, 500)
    instance = runtime.start()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_checkpoint")
    read: list[int] = []
    runtime.records.before["save"] = lambda _: read.append(rows_read())

    runtime.succeed(instance, "work")

    assert runs_of(instance) == ["work"]
    assert len(read) == 1
    assert read[0] <= 5


def rows_read() -> int:
    """Return how many checkpoints the transaction at hand has read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'workflows_checkpoint'"
        )
        return int(cursor.fetchone()[0])
