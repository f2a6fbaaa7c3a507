"""Reading the history while transactions commit in another order than the one they took their ids in."""

from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from tests.runtimes import ONE, Beside, Gate, Runtime, define
from tests.waiting import wait_until
from workflows.models import Checkpoint, History
from workflows.runtime.feed import Feed, Sent, Wanted
from workflows.runtime.horizon import Horizon
from workflows.runtime.lifecycle import LifeCycle

LIFE = LifeCycle(source="")


def slowly(instance: str, gate: Gate) -> int:
    """Write a row of the history as a step does: lock, take an id, and commit when the gate opens."""
    with transaction.atomic():
        Checkpoint.objects.select_for_update().get(pk=instance)
        row = History.objects.create(
            instance=instance, step=99, ordinal=0, is_phase=True, status="suspended", ended_at=timezone.now()
        )
        gate()
    return int(row.pk)


def test_a_row_that_becomes_visible_late_is_read_and_in_its_place(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    runtime = new_runtime()
    define(ONE)
    slow = runtime.start()
    feed, gate = Feed(Wanted(), LIFE, None), Gate()

    writing = beside.run(slowly, slow, gate)
    gate.await_arrival()
    quick = runtime.start()
    early = [sent.event for sent in feed.read()]
    is_settled = feed.is_settled
    gate.open()
    late = writing.result()
    found: list[Sent] = []
    # Whatever else is open on this server counts too.
    wait_until(lambda: found.extend(feed.read()) or feed.is_settled)

    assert (early, is_settled) == ([], False)
    assert [sent.event["subject"] for sent in found] == [slow, quick, quick, quick]
    assert found[0].place.row == late


def test_an_id_that_was_taken_for_nothing_holds_nobody_up(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    runtime = new_runtime()
    define(ONE)
    slow = runtime.start()
    feed, gate = Feed(Wanted(), LIFE, None), Gate()

    def give_up() -> None:
        with transaction.atomic():
            slowly(slow, gate)
            transaction.set_rollback(True)

    writing = beside.run(give_up)
    gate.await_arrival()
    quick = runtime.start()
    assert list(feed.read()) == []
    gate.open()
    writing.result()

    found: list[Sent] = []
    wait_until(lambda: found.extend(feed.read()) or feed.is_settled)

    assert [sent.event["subject"] for sent in found] == [quick] * 3


def test_an_open_transaction_holds_up_only_what_came_after_it(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    runtime = new_runtime()
    define(ONE)
    slow = runtime.start()
    horizon, gate = Horizon(), Gate()
    before = wait_until(horizon.look)

    writing = beside.run(slowly, slow, gate)
    gate.await_arrival()
    runtime.start()
    meanwhile = horizon.look()
    gate.open()
    last = writing.result()

    assert before == meanwhile
    wait_until(lambda: horizon.look() > last)
