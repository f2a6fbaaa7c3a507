"""Retention against retries, starts and other retentions."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.runtimes import (
    ONE,
    Beside,
    Gate,
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

WAITING = "do: [{child: {run: {workflow: {namespace: tests, name: child, version: latest}}}}]"


def remove() -> Removed:
    return retention.remove(retention.removals(retention.configured(), timezone.now()), lambda _: False)


def remove_with(stop: Callable[[str], bool], gate: Gate, *, after: bool = False) -> Removed:
    """Remove, with a gate before or after the first statement that is asked for."""

    def watch(execute: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        is_it = stop(sql)
        if is_it and not after:
            gate()
        result = execute(sql, values, many, context)
        if is_it and after:
            gate()
        return result

    watching: AbstractContextManager[object] = connection.execute_wrapper(watch)
    with watching:
        return remove()


def looks_for_candidates(sql: str) -> bool:
    return "ended_at" in sql and "parent" in sql


def deletes_history(sql: str) -> bool:
    return sql.startswith('DELETE FROM "workflows_history"')


def deletes_instances(sql: str) -> bool:
    return sql.startswith('DELETE FROM "workflows_instance"')


def faulted(runtime: Runtime, instance: str) -> None:
    """Fail the open activity of an instance, and let it have been long ago."""
    wait = runtime.success(instance, "work").wait_id
    fault = problem("communication", "the shop is closed")
    runtime.apply(instance, facts.ActivityFailed(at=runtime.now, wait_id=wait, problem=fault, worker="w"))
    long_gone(instance)


def long_gone(instance: str) -> None:
    ago = timezone.now() - timedelta(days=8)
    assert models.Instance.objects.filter(pk=instance, ended_at__isnull=False).update(ended_at=ago)


def retry(runtime: Runtime, instance: str) -> bool:
    return runtime.apply(instance, facts.RetryRequested(at=runtime.now, source="failed"))[0].changed


def test_an_instance_that_is_retried_at_this_moment_stays(runtime: Runtime, other: Runtime, beside: Beside) -> None:
    define(ONE)
    instance = runtime.start()
    faulted(runtime, instance)
    gate = other.records.before["save"] = Gate()

    retried = beside.run(retry, other, instance)
    gate.await_arrival()
    removed = beside.run(remove)
    if connection.vendor == "postgresql":
        # It passes over what is locked. SQLite lets nobody else write until the retry is stored.
        assert not removed.result()
    gate.open()

    assert retried.result()
    assert not removed.result()
    assert status_of(instance) == "running"
    assert runtime.succeed(instance, "work").changed
    assert runs_of(instance) == ["work faulted", "work"]


def test_an_instance_that_was_retried_since_it_was_found_stays(runtime: Runtime, beside: Beside) -> None:
    define(ONE)
    instance = runtime.start()
    faulted(runtime, instance)
    gate = Gate()

    removed = beside.run(lambda: remove_with(looks_for_candidates, gate, after=True))
    gate.await_arrival()
    assert retry(runtime, instance)
    gate.open()

    assert not removed.result()
    assert runtime.succeed(instance, "work").changed


def test_an_instance_that_was_retried_and_ended_again_since_it_was_found_stays(
    runtime: Runtime, beside: Beside
) -> None:
    define(ONE)
    instance = runtime.start()
    faulted(runtime, instance)
    gate = Gate()

    removed = beside.run(lambda: remove_with(looks_for_candidates, gate, after=True))
    gate.await_arrival()
    retry(runtime, instance)
    runtime.succeed(instance, "work")
    gate.open()

    assert not removed.result()
    assert status_of(instance) == "completed"
    assert runs_of(instance) == ["work faulted", "work"]


def test_a_retry_that_comes_while_its_instance_goes_finds_nothing(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(ONE)
    instance = runtime.start()
    faulted(runtime, instance)
    gate = Gate()

    removed = beside.run(lambda: remove_with(deletes_history, gate))
    gate.await_arrival()
    retried = beside.run(retry, other, instance)
    gate.open()

    assert removed.result().instances == 1
    assert retried.result() is False
    assert not models.Instance.objects.exists()
    assert not models.History.objects.exists()
    assert checkpoint_of(instance) is None


def test_a_child_stays_while_its_parent_is_retried(runtime: Runtime, other: Runtime, beside: Beside) -> None:
    define(ONE, name="child")
    define(WAITING)
    parent = runtime.start()
    [child] = children_of(parent)
    faulted(runtime, child)
    assert status_of(parent) == "faulted"
    gate = other.records.before["save"] = Gate()

    retried = beside.run(retry, other, parent)
    gate.await_arrival()
    removed = beside.run(remove)
    if connection.vendor == "postgresql":
        assert not removed.result()
    gate.open()

    assert retried.result()
    assert not removed.result()
    assert child in children_of(parent)


def test_a_start_with_the_key_of_an_instance_that_goes_waits_and_begins_a_new_one(
    runtime: Runtime, other: Runtime, beside: Beside
) -> None:
    define(ONE)
    first = runtime.start(idempotency_key="k", may_exist=True)
    faulted(runtime, first)
    gate = Gate()

    removed = beside.run(lambda: remove_with(deletes_instances, gate, after=True))
    gate.await_arrival()
    again = beside.run(lambda: other.start(idempotency_key="k", may_exist=True))
    gate.open()

    assert removed.result().instances == 1
    assert status_of(again.result()) == "running"


@pytest.mark.usefixtures("postgresql")
def test_two_at_once_take_different_instances_and_neither_waits(
    new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    runtime = new_runtime()
    define(ONE)
    instances = [runtime.start() for _ in range(4)]
    for instance in instances[:2]:
        faulted(runtime, instance)
    gate = Gate()

    first = beside.run(lambda: remove_with(deletes_history, gate))
    gate.await_arrival()
    for instance in instances[2:]:
        faulted(runtime, instance)
    second = beside.run(remove).result()
    gate.open()

    assert second.instances == first.result().instances == 2
    assert not models.Instance.objects.exists()
    assert not models.Checkpoint.objects.exists()


def test_two_at_once_count_each_row_once(runtime: Runtime, beside: Beside) -> None:
    define(ONE)
    instances = [runtime.start() for _ in range(3)]
    for instance in instances:
        faulted(runtime, instance)
    history = models.History.objects.count()
    gate = Gate()

    first = beside.run(lambda: remove_with(deletes_history, gate))
    gate.await_arrival()
    second = beside.run(remove)
    gate.open()

    assert first.result() + second.result() == Removed(instances=3, history=history)
