"""Records on PostgreSQL and SQLite: the same answers from both."""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
import uuid6
from django.db import connection

from tests.rows import NOW, after, birth, history, phase, stored, update
from tests.runtimes import ONE, Beside, define, due_in
from workflows import models
from workflows.runtime.process import make_records
from workflows.runtime.records import (
    COMPRESS_FROM,
    Changes,
    ContentionError,
    Records,
    pack,
    unpack,
)

HOSTILE = "it's \"quoted\" \\ back\\\\slash %s %(x)s % ${ } \u2028 🙂 '; DROP TABLE workflows_instance; -- \t\r\n"


@pytest.fixture
def records(database: str) -> Records:
    define(ONE)
    return make_records()


def test_what_is_stored_is_locked_and_read_as_it_was(records: Records) -> None:
    [instance] = stored(records, birth(input=b'{"a": 1}', priority=2), due_at=NOW, state=pack(b"x" * 5000), step=7)

    locked = records.lock([instance], wait=False)
    records.rollback()
    peeked = records.peek([instance])

    row = locked.rows[instance]
    assert (row.state, row.input, row.priority, row.step) == (b"x" * 5000, b'{"a": 1}', 2, 7)
    assert (row.due_at, row.parked) == (NOW, False)
    assert peeked == {instance: row}
    assert records.steps([instance]) == {instance: 7}
    assert abs(locked.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_nobody_is_locked_who_is_not_there(records: Records) -> None:
    missing = str(uuid6.uuid7())

    locked = records.lock([missing], wait=False)
    records.rollback()

    assert (locked.rows, locked.busy, locked.existing) == ({}, frozenset(), frozenset())
    assert records.peek([missing]) == records.steps([missing]) == {}


@pytest.mark.parametrize(
    "text", [HOSTILE, "", "\\", "'", "''", "%", "E'\\n'", "$$", "x" * 300 + HOSTILE, "日本語", "\\x41"]
)
def test_any_text_comes_back_as_it_was_given(records: Records, text: str) -> None:
    [instance] = stored(records)

    update(records, after(instance, before=1, step=2), history=[history(instance, step=2, name=text, reason=text)])

    assert list(models.History.objects.values_list("name", "reason")) == [(text, text)]


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
def test_a_nul_in_a_text_fails_no_step(records: Records, text: str) -> None:
    [instance] = stored(records)

    update(records, after(instance, before=1, step=2), history=[history(instance, step=2, name=text)])

    # PostgreSQL has none in texts.
    shown = text.replace("\x00", "\ufffd") if connection.vendor == "postgresql" else text
    assert models.History.objects.get().name == shown


def test_json_is_kept_byte_by_byte(records: Records) -> None:
    text = b'{"z":"\\u0000","a":1.10,"big":123456789012345678901234567890,"q":"\'%s\\\\","nul":null}' + b" " * 3

    [instance] = stored(records, birth(input=text))
    records.lock([instance], wait=False)
    ended = phase(instance, status="completed", output=text, context=text, problem=bytes(range(256)))
    records.save(Changes(phases=[ended], removed=[instance]))

    row = models.Instance.objects.get()
    assert (bytes(row.input), bytes(row.output), bytes(row.context)) == (text, text, text)
    assert bytes(row.problem) == bytes(range(256))
    assert not models.Checkpoint.objects.exists()


def test_labels_of_any_text_are_found_again(records: Records) -> None:
    labels = {"quo'te": HOSTILE, "a.b": "1", "日": "本"}

    stored(records, birth(labels=msgspec.json.encode(labels).decode()))

    assert models.Instance.objects.get().labels == labels


@pytest.mark.parametrize("size", [0, COMPRESS_FROM - 1, COMPRESS_FROM, 3_000_000])
def test_states_of_any_size_survive(records: Records, size: int) -> None:
    state = secrets.token_bytes(size)

    [instance] = stored(records, state=pack(state))

    assert records.peek([instance])[instance].state == state


def test_large_states_are_compressed_and_small_ones_are_not() -> None:
    assert len(pack(b"a" * 100_000)) < 1000
    assert pack(b"abc") == b"\x00abc"
    assert unpack(pack(b"a" * 100_000)) == b"a" * 100_000


def test_a_step_is_written_only_over_the_step_that_was_read(records: Records) -> None:
    [instance] = stored(records, step=5)

    records.lock([instance], wait=False)
    try:
        records.save(Changes(checkpoints=[after(instance, before=4, step=9)]))
    except ContentionError:
        records.rollback()

    assert records.steps([instance]) == {instance: 5}


def test_history_is_unique_on_instance_step_and_ordinal(records: Records) -> None:
    [instance] = stored(records)
    update(records, after(instance, before=1, step=2), history=[history(instance, step=2)])

    with pytest.raises(Exception, match=r"history_once|UNIQUE"):
        update(records, after(instance, before=2, step=3), history=[history(instance, step=2)])
    records.rollback()

    assert models.History.objects.count() == 1
    assert records.steps([instance]) == {instance: 2}


def test_a_transaction_is_written_whole_or_not_at_all(records: Records) -> None:
    one, two = stored(records, birth(), birth())

    records.lock([one, two], wait=False)
    twice = [history(one, step=2), history(one, step=2)]
    with pytest.raises(Exception, match=r"history_once|UNIQUE"):
        records.save(Changes(checkpoints=[after(one, before=1, step=2), after(two, before=1, step=2)], history=twice))
    records.rollback()

    assert records.steps([one, two]) == {one: 1, two: 1}


def test_a_rollback_gives_up_what_was_locked(records: Records, beside: Beside) -> None:
    [instance] = stored(records)
    records.lock([instance], wait=False)

    records.rollback()
    records.rollback()

    other = beside.run(lambda: (make_records().lock([instance], wait=False), make_records().rollback())[0]).result()
    assert set(other.rows) == {instance}


def test_births_that_may_exist_say_which_were_there_already(records: Records) -> None:
    known = birth(idempotency_key="k")
    stored(records, known)
    same_key, same_id = birth(idempotency_key="k", may_exist=True), birth(instance_id=known.instance_id, may_exist=True)
    fresh = birth(idempotency_key="new", may_exist=True)

    locked = records.lock([], wait=False, births=[same_key, fresh, same_id])
    records.rollback()

    assert locked.existing == {same_key.instance_id, same_id.instance_id}
    assert models.Instance.objects.count() == 1


def test_a_key_counts_per_namespace_and_workflow(records: Records) -> None:
    stored(records, birth(idempotency_key="k"))

    locked = records.lock([], wait=False, births=[birth(idempotency_key="k", workflow="other", may_exist=True)])
    records.rollback()

    assert locked.existing == frozenset()


def test_what_is_due_comes_the_most_overdue_first_and_nothing_early(records: Records) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    times = [past + timedelta(seconds=second) for second in (3, 1, 2)]
    ids = [stored(records, due_at=moment)[0] for moment in times]
    stored(records, due_at=datetime.now(UTC) + timedelta(hours=1))
    stored(records, due_at=None)

    locked = records.lock_due(2, ())
    records.rollback()

    assert list(locked.rows) == [ids[1], ids[2]]
    assert due_in(records) == [ids[1], ids[2], ids[0]]
    assert due_in(records, but=[ids[2]]) == [ids[1], ids[0]]
    assert abs(locked.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_when_the_next_is_due_is_told_with_the_databases_time(records: Records) -> None:
    stored(records, due_at=None)
    assert records.next_due()[0] is None

    for moment in (NOW + timedelta(days=1), NOW, NOW + timedelta(days=2)):
        stored(records, due_at=moment)
    due_at, now = records.next_due()

    assert due_at == NOW
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


def test_postponing_never_makes_a_timer_later(records: Records) -> None:
    soon, late = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    ids = [stored(records, due_at=moment)[0] for moment in (soon, late, None)]

    records.postpone(ids, 60)

    due = dict(models.Checkpoint.objects.values_list("instance", "due_at"))
    first, second, third = (due[key] for key in map(UUID, ids))
    assert first == soon
    assert second == pytest.approx(datetime.now(UTC) + timedelta(seconds=60), abs=timedelta(seconds=30))
    assert third is not None
    assert third < late


def test_open_work_is_walked_in_the_order_of_ids_once_its_time_has_come(records: Records) -> None:
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    ids = [stored(records, has_open_work=True, leased_until=past)[0] for _ in range(3)]
    young = stored(records, has_open_work=True, leased_until=future)[0]
    stored(records, has_open_work=False, leased_until=None)

    assert [row.instance_id for row in records.open_work(2, "")] == ids[:2]
    assert [row.instance_id for row in records.open_work(2, ids[1])] == ids[2:]
    assert [row.instance_id for row in records.open_work(9, "", early=True)] == [*ids, young]


def test_what_was_looked_at_is_left_alone_for_a_while(records: Records) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    [instance] = stored(records, has_open_work=True, leased_until=past)

    records.looked([instance], 60)

    assert records.open_work(9, "") == []


def test_only_the_sweeper_puts_off_its_next_look(records: Records) -> None:
    past, later = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    [instance] = stored(records, has_open_work=True, leased_until=past)

    update(records, after(instance, before=1, step=2, has_open_work=True, leased_until=later))
    assert [row.instance_id for row in records.open_work(9, "")] == [instance]
    update(records, after(instance, before=2, step=3, has_open_work=False))
    update(records, after(instance, before=3, step=4, has_open_work=True, leased_until=later))

    assert records.open_work(9, "") == []
    assert models.Checkpoint.objects.get().leased_until == later


def test_ringing_for_all_makes_open_work_due_and_nothing_else(records: Records) -> None:
    late = datetime.now(UTC) + timedelta(hours=1)
    working = [stored(records, has_open_work=True, due_at=moment)[0] for moment in (None, late)]
    stored(records, has_open_work=False, due_at=late)
    stored(records, has_open_work=True, parked=True)

    records.ring_all()

    assert sorted(due_in(records)) == sorted(working)


def test_a_burial_faults_what_is_open_and_keeps_its_state(records: Records) -> None:
    [instance] = stored(records, has_open_work=True, leased_until=NOW, due_at=NOW, step=3)

    records.bury(instance, b'{"type":"t"}', "t")

    row, kept = models.Instance.objects.get(), models.Checkpoint.objects.get()
    assert (row.status, bytes(row.problem), row.problem_type) == ("faulted", b'{"type":"t"}', "t")
    assert row.ended_at is not None
    assert (kept.step, kept.parked, kept.has_open_work, kept.due_at, kept.leased_until) == (3, True, False, None, None)
    assert list(models.History.objects.values_list("step", "is_phase", "status")) == [(3, True, "faulted")]


def test_a_second_burial_changes_nothing(records: Records) -> None:
    [instance] = stored(records)
    records.bury(instance, b"1", "first")

    records.bury(instance, b"2", "second")

    assert models.Instance.objects.get().problem_type == "first"
    assert models.History.objects.count() == 1


def test_a_burial_leaves_alone_what_has_ended_and_what_never_was(records: Records) -> None:
    [instance] = stored(records)
    records.lock([instance], wait=False)
    ended = phase(instance, status="completed", ended_at=NOW)
    records.save(Changes(checkpoints=[after(instance, before=1, step=2)], phases=[ended]))

    records.bury(instance, b"1", "t")
    records.bury(str(uuid6.uuid7()), b"1", "t")

    assert models.Instance.objects.get().status == "completed"
    assert not models.Checkpoint.objects.get().parked


def test_events_are_stored_once(records: Records) -> None:
    event = ("", "https://example.com", "1", "a.b", b"{}", NOW, None, "emit", 3)

    for _ in range(2):
        records.lock([], wait=False)
        records.save(Changes(events=[event, event]))

    assert models.ReceivedEvent.objects.count() == 1
    assert list(models.PendingEvent.objects.values_list("lane", "event")) == [
        (3, models.ReceivedEvent.objects.get().pk)
    ]
