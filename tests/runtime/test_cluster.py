"""Heartbeats: who lives, what they hold, and what happens while the database is away."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from tests.runtimes import (
    ONE,
    Beside,
    Runtime,
    backend,
    define,
    lost,
    terminate,
    wait_of,
)
from tests.waiting import wait_until
from workflows import models
from workflows.engine import facts
from workflows.runtime import cluster
from workflows.runtime.cluster import Heartbeat, Held, Hold, Presence
from workflows.runtime.records import UnreachableError

LEASE = timedelta(seconds=30)


class Heart:
    """A heartbeat that beats when it is told to."""

    def __init__(self, runtime: Runtime, lease: timedelta = LEASE) -> None:
        self.renewed: list[list[Hold]] = []
        self.presence = runtime.process.presence
        self._runtime = runtime
        self.heartbeat = Heartbeat(
            self.presence,
            runtime.records,
            runtime.process.clock,
            lease.total_seconds(),
            self._renew,  # type: ignore[arg-type]
        )

    def _renew(self, holds: Iterable[Hold]) -> None:
        self.renewed.append(list(holds))

    def hold(self, instance: str, wait: str, *, since: timedelta) -> list[str]:
        """Hold an activity since some time ago; what is told to whoever runs it."""
        told: list[str] = []
        self.presence.held[instance, wait, 1] = Held(self._runtime.now - since, lambda: told.append("stop"))
        return told


def node() -> models.Node:
    return models.Node.objects.get()


def test_a_heartbeat_says_who_lives_since_when_and_what_was_taken(runtime: Runtime) -> None:
    heart = Heart(runtime)
    heart.presence.take("compute/3", runtime.now)
    heart.presence.take("compute/3", later := runtime.now + timedelta(seconds=1))
    heart.presence.take("compute/3", runtime.now - timedelta(hours=1))

    assert heart.heartbeat.beat()

    row = node()
    assert (row.pk, row.name, row.roles) == (heart.presence.id, heart.presence.name, "tests")
    assert abs(row.seen_at - runtime.now) < timedelta(minutes=1)
    assert row.taken == {"compute/3": later.isoformat()}
    assert heart.presence.living == {str(heart.presence.id)}


def test_a_restarted_process_is_not_taken_for_the_one_that_died() -> None:
    assert Presence(name="n", roles="r").id != Presence(name="n", roles="r").id


def test_what_was_held_for_longer_than_a_third_of_a_lease_is_reported_and_its_claims_renewed(
    runtime: Runtime,
) -> None:
    define(ONE)
    heart = Heart(runtime)
    long, short = runtime.start(), runtime.start()
    heart.hold(long, wait_of(long, "work"), since=LEASE / 3 + timedelta(seconds=1))
    heart.hold(short, wait_of(short, "work"), since=LEASE / 3 - timedelta(seconds=1))

    heart.heartbeat.beat()

    expected = (long, wait_of(long, "work"), 1)
    assert node().held == [list(expected)]
    assert heart.renewed == [[expected]]


def test_the_answer_tells_which_of_them_nobody_waits_for_any_more(runtime: Runtime) -> None:
    define(ONE)
    heart = Heart(runtime)
    wanted, cancelled, ended = (runtime.start() for _ in range(3))
    told = {each: heart.hold(each, wait_of(each, "work"), since=LEASE) for each in (wanted, cancelled, ended)}
    runtime.apply(cancelled, facts.CancelRequested(at=runtime.now))
    runtime.succeed(ended, "work")

    heart.heartbeat.beat()

    assert told == {wanted: [], cancelled: ["stop"], ended: ["stop"]}


def test_what_a_buried_instance_had_open_is_stopped(runtime: Runtime) -> None:
    define(ONE)
    heart = Heart(runtime)
    instance = runtime.start()
    told = heart.hold(instance, wait_of(instance, "work"), since=LEASE)
    runtime.records.bury(instance, b"{}", "t")

    heart.heartbeat.beat()

    assert told == ["stop"]


def test_a_process_counts_as_living_for_a_lease_after_it_was_heard_of(runtime: Runtime) -> None:
    heart = Heart(runtime)
    heart.heartbeat.beat()
    silent = models.Node.objects.create(
        pk="01900000-0000-7000-8000-000000000009", name="n", started_at=runtime.now, seen_at=runtime.now - LEASE * 0.9
    )
    heart.heartbeat.beat()
    assert str(silent.pk) in heart.presence.living

    models.Node.objects.filter(pk=silent.pk).update(seen_at=runtime.now - LEASE * 1.1)
    heart.heartbeat.beat()

    assert heart.presence.living == {str(heart.presence.id)}


@pytest.mark.parametrize("error", [lost, lambda *_: 1 / 0])
def test_a_heartbeat_that_cannot_be_written_says_so_and_raises_nothing(
    runtime: Runtime, error: Callable[..., Any]
) -> None:
    heart = Heart(runtime)
    runtime.records.before["now"] = error

    assert not heart.heartbeat.beat()
    runtime.records.before.clear()

    assert heart.heartbeat.beat()


def test_the_log_says_once_that_heartbeats_are_missed_and_again_when_that_changes(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(reason: str) -> Callable[..., None]:
        def failing() -> None:
            raise UnreachableError(reason)

        return failing

    heart, reasons = Heart(runtime), ("away", "away", "refused", "refused", "back", "refused")
    for reason in reasons:
        runtime.records.before.clear()
        if reason != "back":
            runtime.records.before["now"] = fail(reason)
        heart.heartbeat.beat()

    assert [record.error for record in caplog.records] == ["away", "refused", "refused"]  # type: ignore[attr-defined]
    monkeypatch.setattr(cluster, "TOLD_SECONDS", 0)
    heart.heartbeat.beat()
    assert len(caplog.records) == 4


def test_a_state_that_cannot_be_read_does_not_end_the_heartbeat(runtime: Runtime) -> None:
    define(ONE)
    heart = Heart(runtime)
    instance = runtime.start()
    heart.hold(instance, wait_of(instance, "work"), since=LEASE)
    models.Checkpoint.objects.update(state=b"\x00[99,[],[]]")

    assert heart.heartbeat.beat()


def test_after_a_connection_that_died_the_next_heartbeat_is_written(
    postgresql: str, new_runtime: Callable[[], Runtime], beside: Beside
) -> None:
    heart = Heart(new_runtime())
    heart.heartbeat.beat()
    beside.run(terminate, backend()).result()

    assert not heart.heartbeat.beat()

    assert heart.heartbeat.beat()


def test_once_the_database_is_back_the_heartbeat_does_not_wait_for_its_turn(runtime: Runtime) -> None:
    heart = Heart(runtime, lease=timedelta(hours=1))
    beats: list[int] = []
    runtime.records.before["now"] = lambda: (beats.append(1), lost() if len(beats) == 1 else None)

    # The first is missed; by its turn, the second would come after twenty minutes.
    heart.heartbeat.start()
    wait_until(models.Node.objects.exists, "the heartbeat")
    heart.heartbeat.stop()

    assert len(beats) == 2


def test_a_process_that_stops_leaves_so_that_what_it_held_is_free_at_once(runtime: Runtime) -> None:
    heart = Heart(runtime)
    heart.heartbeat.start()
    assert models.Node.objects.count() == 1

    heart.heartbeat.stop()

    assert not models.Node.objects.exists()
