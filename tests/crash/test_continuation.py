"""Processes that go on with an instance where they stand are killed, stopped or told to end in between."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.crash.conftest import Open
from tests.crash.definitions import visit
from tests.crash.harness import LEASE_SECONDS, SERVED, Installation
from tests.crash.stub import Stub
from workflows import models

AUTO = {"LEMLINE_EXECUTION_CONTINUATION": "auto", "LEMLINE_EXECUTION_SLICE_COMPUTE": "1m"}
THREE = [{"one": visit("/one")}, {"two": visit("/two")}, {"three": visit("/three")}]
ONCE = {"/one": 1, "/two": 1, "/three": 1}


@pytest.fixture(scope="module")
def installation(open_installation: Open, database: str, redis_urls: tuple[str, str]) -> Iterator[Installation]:
    """One process per role; those with activities go on by themselves."""
    broker, cache = redis_urls
    with open_installation(database, SERVED, BROKER_URL=broker, CACHE_URL=cache, **AUTO) as opened:
        opened.register("three", THREE)
        yield opened


def end_of(installation: Installation, instance: str) -> None:
    [ending] = installation.await_end(instance)
    assert installation.armed() == []
    assert [(position, status) for position, status, _, _ in ending.history] == [
        ("/do/0/one", "completed"),
        ("/do/1/two", "completed"),
        ("/do/2/three", "completed"),
    ]


PLACES = {
    "within the transaction that has it go on": ("saving", 0, ONCE | {"/one": 2}),
    "between that commit and its beginning": ("committed", 0, ONCE),
    "before it begins": ("kept", 1, ONCE),
    "after its end": ("ended", 1, ONCE | {"/two": 2}),
}


@pytest.mark.parametrize("where", PLACES)
def test_a_kill_loses_nothing_and_repeats_nothing_that_was_committed(
    installation: Installation, stub: Stub, where: str
) -> None:
    place, passages, calls = PLACES[where]
    stub.calls.clear()
    instance = str(uuid4())
    installation.arm(place, "compute", instance, passages=passages)

    installation.start("three", {"stub": stub.url}, instance)

    end_of(installation, instance)
    assert stub.counts("/") == calls
    assert {len(set(stub.keys(path))) for path in calls} == {1}


@pytest.mark.parametrize(("place", "calls"), [("kept", ONCE), ("ended", ONCE | {"/one": 2})])
def test_a_process_that_sleeps_through_its_lease_begins_nothing_that_another_was_given(
    installation: Installation, stub: Stub, place: str, calls: dict[str, int]
) -> None:
    stub.calls.clear()
    instance = str(uuid4())
    installation.arm(place, "compute", instance, number=signal.SIGSTOP)
    installation.start("three", {"stub": stub.url}, instance)
    installation.wait(lambda: installation.is_stopped("compute"), installation.armed)

    with installation.another("compute", "second"):
        end_of(installation, instance)
        installation.send("compute", signal.SIGCONT)
        installation.wait(lambda: installation.node("compute").held == [])

    assert stub.counts("/") == calls


def test_what_is_cancelled_while_the_process_sleeps_is_not_begun_when_it_wakes(
    installation: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    instance = str(uuid4())
    installation.arm("kept", "compute", instance, number=signal.SIGSTOP)
    installation.start("three", {"stub": stub.url}, instance)
    installation.wait(lambda: installation.is_stopped("compute"), installation.armed)
    asleep = installation.node("compute")

    installation.ask("POST", f"/instances/{instance}/cancel", {})
    lease = timedelta(seconds=LEASE_SECONDS)
    installation.wait(lambda: installation.node("maintenance").seen_at > asleep.seen_at + lease)
    installation.send("compute", signal.SIGCONT)
    installation.await_end(instance)
    installation.wait(lambda: installation.node("compute").seen_at > asleep.seen_at)
    later = installation.start("three", {"stub": f"{stub.url}/later"})
    installation.await_end(later)

    assert models.Instance.objects.get(pk=instance).status == "cancelled"
    assert (stub.count("/one"), stub.count("/two")) == (1, 0)


def test_a_process_that_is_told_to_stop_before_it_begins_leaves_no_lease_to_wait_for(
    open_installation: Open, database: str, redis_urls: tuple[str, str], stub: Stub, installation: Installation
) -> None:
    installation.close()
    stub.calls.clear()
    broker, cache = redis_urls
    forever = {**AUTO, "LEMLINE_EXECUTION_LEASE": "10m"}
    with open_installation(database, SERVED, BROKER_URL=broker, CACHE_URL=cache, **forever) as opened:
        instances = [str(uuid4()) for _ in range(6)]
        for passages, instance in enumerate(instances):
            opened.arm("kept", "compute", instance, passages=passages % 2, number=signal.SIGTERM)
            opened.start("three", {"stub": stub.url}, instance)
            end_of_one = opened.await_end(instance)
            assert [ending.status for ending in end_of_one] == ["completed"]

        assert opened.armed() == []
    assert stub.counts("/") == {"/one": 6, "/two": 6, "/three": 6}
