"""What is removed when it is old enough, and what is kept however old it is."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.runtimes import (
    ONE,
    Runtime,
    checkpoint_of,
    children_of,
    define,
    runs_of,
    status_of,
)
from workflows import models
from workflows.engine import facts
from workflows.engine.problems import problem
from workflows.runtime import retention
from workflows.runtime.retention import Removed

WAITING = "do: [{child: {run: {workflow: {namespace: tests, name: child, version: latest}}}}, {after: {call: work}}]"
UNAWAITED = WAITING.replace("version: latest}", "version: latest}, await: false")
LONG_AGO = timedelta(days=8)


def removed() -> Removed:
    """Remove everything that is old enough, without a rest."""
    return retention.remove(retention.removals(retention.configured(), timezone.now()), lambda _: False)


def counted() -> Removed:
    return sum(retention.counts(retention.configured(), timezone.now()), Removed())


def age(*instances: str, by: timedelta = LONG_AGO) -> None:
    """Have instances have ended long ago."""
    ended = models.Instance.objects.filter(pk__in=instances, ended_at__isnull=False)
    assert ended.update(ended_at=timezone.now() - by) == len(instances)


def completed(runtime: Runtime, **more: Any) -> str:
    instance = runtime.start(**more)
    runtime.succeed(instance, "work")
    assert status_of(instance) == "completed"
    return instance


def cancelled(runtime: Runtime, instance: str) -> str:
    runtime.apply(instance, facts.CancelRequested(at=runtime.now))
    assert status_of(instance) == "cancelled"
    return instance


def left() -> set[str]:
    return {str(key) for key in models.Instance.objects.values_list("pk", flat=True)}


def ended_rows(count: int) -> None:
    """Store instances that ended long ago, each with a row of history."""
    definition = define(ONE, name="stored")
    at = timezone.now() - LONG_AGO
    made = models.Instance.objects.bulk_create(
        models.Instance(
            definition=definition, namespace="tests", workflow="stored", version="1.0.0", status="completed",
            input=b"{}", created_at=at, started_at=at, ended_at=at,
        )
        for _ in range(count)
    )  # fmt: skip
    models.History.objects.bulk_create(
        models.History(instance=each.pk, step=1, ordinal=0, status="completed", ended_at=at) for each in made
    )


def test_what_ended_long_ago_goes_with_its_history_and_its_checkpoint(runtime: Runtime) -> None:
    define(ONE)
    done, dropped = completed(runtime, labels='{"team":"blue"}'), cancelled(runtime, runtime.start())
    assert checkpoint_of(dropped) is not None
    age(done, dropped)
    history = models.History.objects.count()

    gone = removed()

    assert gone == Removed(instances=2, history=history)
    assert not models.Instance.objects.exists()
    assert not models.History.objects.exists()
    assert not models.Checkpoint.objects.exists()
    assert not models.Label.objects.exists()


def test_what_is_open_or_ended_of_late_stays_whole(runtime: Runtime) -> None:
    define(ONE)
    opened, late = runtime.start(), completed(runtime)
    age(late, by=timedelta(days=6))
    models.Instance.objects.filter(pk=opened).update(created_at=timezone.now() - LONG_AGO)

    gone = removed()

    assert not gone
    assert left() == {opened, late}
    assert runs_of(late) == ["work"]
    assert runtime.succeed(opened, "work").changed


def test_what_faulted_can_be_retried_until_it_goes(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()
    failure = runtime.success(instance, "work")
    fault = problem("communication", "the shop is closed")
    runtime.apply(instance, facts.ActivityFailed(at=failure.at, wait_id=failure.wait_id, problem=fault, worker="w"))
    assert status_of(instance) == "faulted"
    age(instance, by=timedelta(days=6))

    gone = removed()

    assert not gone
    assert runtime.apply(instance, facts.RetryRequested(at=runtime.now, source="failed"))[0].changed


def test_the_age_is_the_configured_one(runtime: Runtime, configure: Any) -> None:
    define(ONE)
    instance = completed(runtime)
    age(instance, by=timedelta(hours=2))
    configure({"lemline.workflow.cleanup-after": "1h"})

    gone = removed()

    assert gone.instances == 1


def test_a_child_stays_as_long_as_its_parent_is_open(runtime: Runtime) -> None:
    define(ONE, name="child")
    define(UNAWAITED)
    parent = runtime.start()
    [child] = children_of(parent)
    runtime.succeed(child, "work")
    age(child)

    gone = removed()

    assert not gone
    runtime.succeed(parent, "after")
    assert removed().instances == 1
    assert left() == {parent}


def test_a_child_stays_until_its_parent_has_heard_of_its_end(runtime: Runtime) -> None:
    define(ONE, name="child")
    define(WAITING)
    parent = runtime.start()
    [child] = children_of(parent)
    # Its process dies after the commit that ended the child.
    runtime.stepper.submit(child, runtime.success(child, "work", 5))
    runtime.stepper.turn()
    runtime.stepper._inbox.get()
    age(child)

    gone = removed()

    assert not gone
    runtime.sweeper.sweep()
    models.Checkpoint.objects.filter(pk=child).update(leased_until=timezone.now())
    runtime.sweeper.sweep()
    runtime.settle()
    assert runtime.bells.names == ["work", "after"]


def test_a_parent_that_ended_goes_whatever_its_child_still_does(runtime: Runtime) -> None:
    define(ONE, name="child")
    define(UNAWAITED)
    parent = runtime.start()
    [child] = children_of(parent)
    runtime.succeed(parent, "after")
    age(parent)

    gone = removed()

    assert gone.instances == 1
    assert left() == {child}
    assert runtime.succeed(child, "work").changed


def test_an_idempotency_key_lives_as_long_as_its_instance(runtime: Runtime) -> None:
    define(ONE)
    first = completed(runtime, idempotency_key="k", may_exist=True)
    runtime.start(idempotency_key="k", may_exist=True)
    assert left() == {first}
    age(first)

    removed()

    again = runtime.start(idempotency_key="k", may_exist=True)
    assert left() == {again}


def test_a_long_history_goes_in_parts_and_its_instance_with_the_last(runtime: Runtime) -> None:
    ended_rows(1)
    [instance] = models.Instance.objects.all()
    at = instance.ended_at
    models.History.objects.bulk_create(
        models.History(instance=instance.pk, step=2, ordinal=number, status="completed", ended_at=at)
        for number in range(2 * retention.ROWS)
    )

    parts = list(retention.removals(retention.configured(), timezone.now()))

    assert parts == [
        Removed(history=retention.ROWS), Removed(history=retention.ROWS), Removed(instances=1, history=1),
    ]  # fmt: skip


def test_a_history_that_went_in_part_before_a_crash_goes_on_going(runtime: Runtime) -> None:
    ended_rows(1)
    [instance] = models.Instance.objects.all()
    models.History.objects.bulk_create(
        models.History(instance=instance.pk, step=2, ordinal=number, status="completed", ended_at=instance.ended_at)
        for number in range(retention.ROWS)
    )
    next(retention.removals(retention.configured(), timezone.now()))
    assert left() == {str(instance.pk)}

    gone = removed()

    assert gone == Removed(instances=1, history=1)


def test_many_go_in_batches_with_a_rest_after_each(runtime: Runtime) -> None:
    ended_rows(2 * retention.INSTANCES + 1)
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return False

    gone = retention.remove(retention.removals(retention.configured(), timezone.now()), rest)

    assert gone.instances == gone.history == 2 * retention.INSTANCES + 1
    assert len(rests) == 3
    assert min(rests) > 0


def test_who_is_told_to_stop_removes_no_further_batch(runtime: Runtime) -> None:
    ended_rows(retention.INSTANCES + 1)

    gone = retention.remove(retention.removals(retention.configured(), timezone.now()), lambda _: True)

    assert gone.instances == retention.INSTANCES
    assert len(left()) == 1


def test_those_that_stay_hide_none_behind_them(runtime: Runtime) -> None:
    define(ONE, name="child")
    define(UNAWAITED)
    parent = runtime.start()
    kept = models.Instance.objects.get(pk=children_of(parent)[0])
    runtime.succeed(str(kept.pk), "work")
    age(str(kept.pk), by=2 * LONG_AGO)
    ended_rows(1)
    models.Instance.objects.filter(workflow="stored").update(parent=None)
    more = models.Instance.objects.get(workflow="stored")
    siblings = [
        models.Instance(
            definition=kept.definition, namespace="tests", workflow="child", version="1.0.0", status="completed",
            input=b"{}", created_at=kept.created_at, ended_at=timezone.now() - 2 * LONG_AGO, parent=kept.parent,
        )
        for _ in range(retention.INSTANCES)
    ]  # fmt: skip
    models.Instance.objects.bulk_create(siblings)

    gone = removed()

    assert gone == Removed(instances=1, history=1)
    assert str(more.pk) not in left()


def test_events_and_audit_entries_go_after_their_own_time(runtime: Runtime) -> None:
    now = timezone.now()
    for name, age_days, expires_at in (
        ("old", 8, None), ("expired", 8, now - timedelta(days=1)), ("wanted", 8, now + timedelta(days=1)),
        ("young", 6, None), ("open", 8, None),
    ):  # fmt: skip
        row = models.ReceivedEvent.objects.create(
            source="/tests", event_id=name, type="t", event=b"{}", received_at=now - timedelta(days=age_days),
            expires_at=expires_at,
        )  # fmt: skip
        if name == "open":
            models.PendingEvent.objects.create(lane=1, event=row.pk)
    for days in (8, 6):
        models.RejectedMessage.objects.create(
            bridge="b", digest=str(days), place="", headers=b"{}", body=b"", reason="", at=now - timedelta(days=days)
        )
    for days in (91, 89):
        models.AuditEntry.objects.create(at=now - timedelta(days=days), by="ada", action="a", subject=str(days))

    gone = removed()

    assert gone == Removed(events=2, rejected=1, audit=1)
    assert models.RejectedMessage.objects.get().digest == "6"
    assert set(models.ReceivedEvent.objects.values_list("event_id", flat=True)) == {"wanted", "young", "open"}
    assert models.AuditEntry.objects.get().subject == "89"


def test_counting_says_what_would_go_and_removes_nothing(runtime: Runtime) -> None:
    ended_rows(retention.INSTANCES + 3)
    models.AuditEntry.objects.create(at=timezone.now() - timedelta(days=91), by="ada", action="a", subject="s")

    told = counted()

    assert told == Removed(instances=retention.INSTANCES + 3, history=retention.INSTANCES + 3, audit=1)
    assert removed() == told


def test_a_run_that_removed_something_is_told_in_one_line(runtime: Runtime, caplog: Any) -> None:
    ended_rows(retention.INSTANCES + 1)

    with caplog.at_level(logging.INFO, "lemline.retention"):
        removed()
        removed()

    [line] = [each for each in caplog.records if each.name == "lemline.retention"]
    assert line.message == "retention.removed"
    assert line.instances == line.history == retention.INSTANCES + 1


@pytest.fixture
def thread(runtime: Runtime) -> Iterator[retention.Retention]:
    made = retention.Retention(runtime.process.clock)
    yield made
    made.stop()


def test_without_auto_cleanup_nothing_is_removed_by_itself(thread: retention.Retention, configure: Any) -> None:
    configure({"lemline.workflow.auto-cleanup": "false"})

    thread.start()

    assert not thread._thread.is_alive()


def test_with_it_a_thread_looks_and_ends_when_it_is_told_to(thread: retention.Retention) -> None:
    thread.start()
    assert thread._thread.is_alive()

    thread.stop()

    assert not thread._thread.is_alive()
