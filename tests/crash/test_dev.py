"""`manage.py lemline dev` on SQLite: one process, killed and started again, goes on."""

from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest

from tests.crash.conftest import Open
from tests.crash.definitions import post, visit
from tests.crash.every_sort import begun_again, kill_inside
from tests.crash.harness import DEV, Installation
from tests.crash.stub import Stub

STEPS = [
    {"one": visit("/one")},
    {"nap": {"wait": {"milliseconds": 200}}},
    {"two": post("/two")},
]


@pytest.fixture(scope="module")
def dev(open_installation: Open, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The installation and its database, a file."""
    path = tmp_path_factory.mktemp("dev") / "lemline.db"
    with open_installation(f"sqlite:///{path}", DEV, LEMLINE_EXECUTION_POOLS_COMPUTE_MAX_SIZE="16") as opened:
        yield opened


@pytest.mark.parametrize(
    ("place", "passages", "calls"),
    [
        ("saving", 0, {"/one": 1, "/two": 1}),
        ("committed", 0, {"/one": 1, "/two": 1}),
        ("taken", 0, {"/one": 1, "/two": 1}),
        ("ended", 0, {"/one": 2, "/two": 1}),
        ("saving", 1, {"/one": 2, "/two": 1}),
        ("committed", 1, {"/one": 1, "/two": 1}),
        ("saving", 2, {"/one": 1, "/two": 1}),
        ("committed", 2, {"/one": 1, "/two": 1}),
        ("committed", 3, {"/one": 1, "/two": 1}),
    ],
)
def test_killed_between_two_lines_of_a_step_it_goes_on_with_what_was_committed(
    dev: Installation, stub: Stub, place: str, passages: int, calls: Mapping[str, int]
) -> None:
    stub.calls.clear()
    dev.register("steps", STEPS)
    instance = str(uuid4())
    dev.arm(place, "web", instance, passages=passages)

    dev.start("steps", {"stub": stub.url}, instance)
    [ending] = dev.await_end(instance)

    assert dev.armed() == []
    assert (ending.status, len(ending.history)) == ("completed", 3)
    assert stub.counts("/") == calls


def test_killed_inside_every_sort_of_task_it_goes_on_at_its_next_start(dev: Installation, stub: Stub) -> None:
    undisturbed, counts, events = kill_inside(dev, stub, victims=())

    disturbed, counts_of_disturbed, events_of_disturbed = kill_inside(dev, stub, victims=("web",))

    assert disturbed == undisturbed
    assert counts_of_disturbed == {path: count + begun_again(path) for path, count in counts.items()}
    assert events_of_disturbed == events
