"""What becomes of work when processes are killed, stopped, poisoned or replaced under load."""

import random
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import redis

from tests.crash.definitions import child, post, visit
from tests.crash.harness import SERVED, Installation
from tests.crash.stub import Stub
from workflows import models

ORDER = ("one", "two", "three")
SERIES = [
    {"one": visit("/\\($workflow.input.name)/one")},
    {"two": post("/\\($workflow.input.name)/two")},
    {"three": visit("/\\($workflow.input.name)/three")},
]
"""Three activities, each at a path of its own instance."""


@pytest.fixture(scope="module", autouse=True)
def definitions(installation: Installation) -> None:
    installation.register("series", SERIES)
    installation.register("plain", [{"work": visit("/plain")}])


def _start_many(installation: Installation, stub: Stub, names: Sequence[str]) -> list[str]:
    """Start a `series` per name, sixteen at a time."""
    with ThreadPoolExecutor(16) as threads:
        bodies = [(name, str(uuid4())) for name in names]
        return list(
            threads.map(lambda body: installation.post("series", {"stub": stub.url, "name": body[0]}, body[1]), bodies)
        )


def _assert_each_went_on_and_never_back(stub: Stub, names: Sequence[str]) -> None:
    """An activity begins once the result of the one before it is committed; from then on that is never called again."""
    for name in names:
        order = [call.path.rpartition("/")[2] for call in stub.calls if call.path.startswith(f"/{name}/")]
        assert order == sorted(order, key=ORDER.index), (name, order)
        assert set(order) == set(ORDER), (name, order)
        for path in (f"/{name}/{each}" for each in ORDER):
            assert len(set(stub.keys(path))) == 1, path


@pytest.mark.parametrize(
    ("place", "calls"),
    [("claimed", 1), ("ended", 2), ("saving", 2), ("committed", 1)],
    ids=["before its call", "after its call", "within its transaction", "after its commit"],
)
def test_a_process_that_sleeps_through_its_lease_repeats_nothing_and_commits_nothing_twice(
    installation: Installation, stub: Stub, place: str, calls: int
) -> None:
    stub.calls.clear()
    instance = str(uuid4())
    installation.arm(place, "compute", instance, number=signal.SIGSTOP)
    installation.start("series", {"stub": stub.url, "name": "zombie"}, instance)
    installation.wait(lambda: installation.is_stopped("compute"), installation.armed)

    with installation.another("compute", "second"):
        [ending] = installation.await_end(instance)
        installation.send("compute", signal.SIGCONT)
        installation.wait(lambda: installation.node("compute").held == [])
    awake = installation.start("series", {"stub": stub.url, "name": "awake"})
    installation.await_end(awake)

    assert [(position, status) for position, status, _, _ in ending.history] == [
        ("/do/0/one", "completed"),
        ("/do/1/two", "completed"),
        ("/do/2/three", "completed"),
    ]
    assert stub.counts("/zombie") == {"/zombie/one": calls, "/zombie/two": 1, "/zombie/three": 1}
    assert len(set(stub.keys("/zombie/one"))) == 1


def test_a_charge_that_timed_out_and_was_tried_again_is_one_charge_to_a_service_that_honours_its_key(
    installation: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    stub.hold("/charge")
    charge = post("/charge", timeout={"after": {"milliseconds": 500}})
    retry = {"errors": {"with": {"status": 408}}, "retry": {"limit": {"attempt": {"count": 20}}}}
    installation.register("charges", [{"safe": {"try": [{"charge": charge}], "catch": retry}}])

    instance = installation.start("charges", {"stub": stub.url})
    stub.wait_for("/charge", count=2)
    stub.release("/charge")
    [ending] = installation.await_end(instance)

    assert (ending.status, ending.output) == ("completed", {"visited": "/charge"})
    assert len([run for run in ending.history if run[1] == "faulted"]) >= 1
    assert (stub.count("/charge") >= 2, len(set(stub.keys("/charge")))) == (True, 1)


def test_what_waits_behind_others_in_a_worker_is_held_by_it_and_not_rung_again(
    installation: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    stub.hold("/plain")
    strays = {f"stray{number}": child("plain", awaited=False) for number in range(24)}
    installation.register("crowd", [{"all": {"fork": {"branches": [{name: task} for name, task in strays.items()]}}}])

    crowd = installation.start("crowd", {"stub": stub.url})
    installation.wait(lambda: len(installation.node("compute").held) == 24, lambda: installation.node("compute").held)
    begun = stub.count("/plain")
    stub.release("/plain")
    installation.wait(lambda: not models.Instance.objects.filter(parent=crowd, ended_at=None).exists())

    assert begun < 24
    assert stub.count("/plain") == 24


def test_activities_that_a_flushed_redis_forgot_are_rung_again(
    installation: Installation, stub: Stub, redis_urls: tuple[str, str]
) -> None:
    stub.calls.clear()
    names = [f"forgotten-{number}" for number in range(5)]
    installation.kill("compute")
    instances = _start_many(installation, stub, names)

    for url in redis_urls:
        with redis.Redis.from_url(url) as connection:
            connection.flushdb()
    installation.revive("compute")
    endings = installation.await_end(*instances)

    assert {ending.status for ending in endings} == {"completed"}
    assert set(stub.counts("/").values()) == {1}


def test_two_maintenance_processes_fire_each_timer_once_and_ring_each_lost_ring_once(
    installation: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    installation.register("naps", [{"nap": {"wait": {"milliseconds": 300}}}, *SERIES])
    names = [f"nap-{number}" for number in range(20)]
    with installation.another("maintenance", "second"):
        stub.hold("/nap-0/one")
        bodies = [{"stub": stub.url, "name": name} for name in names]
        instances = [installation.start("naps", body) for body in bodies]
        stub.wait_for("/nap-0/one")

        installation.kill("compute")
        installation.revive("compute")
        stub.wait_for("/nap-0/one", count=2)
        stub.release("/nap-0/one")
        endings = installation.await_end(*instances)

    assert {ending.status for ending in endings} == {"completed"}
    assert {len(ending.history) for ending in endings} == {4}
    assert stub.count("/nap-0/one") == 2
    _assert_each_went_on_and_never_back(stub, names)


def test_a_rolling_restart_under_load_runs_everything_once(installation: Installation, stub: Stub) -> None:
    stub.calls.clear()
    names = [f"rolled-{number}" for number in range(200)]
    with ThreadPoolExecutor(1) as beside:
        started = beside.submit(_start_many, installation, stub, names)
        for name in SERVED:
            installation.restart(name)
            installation.wait_until_serving()
        instances = started.result()

    endings = installation.await_end(*instances)

    assert {ending.status for ending in endings} == {"completed"}
    assert set(stub.counts("/").values()) == {1}
    assert len(stub.calls) == 600


def test_whatever_is_killed_whenever_each_instance_goes_on_and_never_back(
    installation: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    names = [f"hunted-{number}" for number in range(60)]
    chance = random.Random(7)
    with ThreadPoolExecutor(1) as beside:
        started = beside.submit(_start_many, installation, stub, names)
        for victims in [chance.sample(sorted(SERVED), chance.randint(1, 3)) for _ in range(5)]:
            installation.kill(*victims)
            installation.revive()
            installation.wait_until_serving()
        instances = started.result()

    endings = installation.await_end(*instances)

    assert {ending.status for ending in endings} == {"completed"}
    assert {len(ending.history) for ending in endings} == {3}
    _assert_each_went_on_and_never_back(stub, names)
