"""What becomes of a wide fan-out when worker processes are killed in its midst and at its join."""

import pytest

from tests.crash.definitions import visit
from tests.crash.harness import Ending, Installation
from tests.crash.stub import Stub
from workflows import models

COUNT = 200
WIDE = [
    {
        "all": {
            "for": {"each": "item", "in": f"[range({COUNT})]", "parallel": True},
            "do": [{"one": visit("/item/\\($item)")}],
        }
    },
    {"last": visit("/last")},
]
PATHS = [f"/item/{item}" for item in range(COUNT)]
HELD = PATHS[7]


@pytest.fixture(scope="module", autouse=True)
def definition(installation: Installation) -> None:
    installation.register("wide", WIDE)


def _ended_items(instance: str) -> int:
    return models.History.objects.filter(instance=instance, name="one", status="completed").count()


def _assert_joined_once(ending: Ending, stub: Stub) -> None:
    assert (ending.status, ending.output) == ("completed", {"visited": "last"})
    ended = [iteration for position, *_, iteration in ending.history if position.endswith("/one")]
    assert sorted(map(str, ended)) == sorted(map(str, range(COUNT)))
    assert len(ending.history) == COUNT + 2
    assert all(len(set(stub.keys(path))) == 1 for path in PATHS)
    assert stub.count("/last") == 1


@pytest.mark.parametrize("place", ["claimed", "ended", "saving", "committed", "settled"])
def test_a_worker_killed_in_the_midst_of_a_fan_out_loses_no_item_and_runs_none_without_a_claim(
    installation: Installation, stub: Stub, place: str
) -> None:
    stub.calls.clear()
    installation.arm(place, "compute", "any")

    instance = installation.start("wide", {"stub": stub.url})
    [ending] = installation.await_end(instance)

    assert installation.armed() == []
    _assert_joined_once(ending, stub)
    claims = [claim for claim in installation.claims() if claim[0] == instance]
    assert COUNT <= sum(map(stub.count, PATHS)) < len(claims)


@pytest.mark.parametrize(("place", "calls"), [("ended", 2), ("saving", 2), ("committed", 1)])
def test_a_worker_killed_at_the_join_of_a_fan_out_runs_again_the_last_item_at_most(
    installation: Installation, stub: Stub, place: str, calls: int
) -> None:
    stub.calls.clear()
    stub.hold(HELD)
    instance = installation.start("wide", {"stub": stub.url})
    installation.wait(lambda: _ended_items(instance) == COUNT - 1, lambda: _ended_items(instance))

    installation.arm(place, "compute", instance)
    stub.release(HELD)
    [ending] = installation.await_end(instance)

    assert installation.armed() == []
    _assert_joined_once(ending, stub)
    assert [stub.count(path) for path in PATHS] == [calls if path == HELD else 1 for path in PATHS]
