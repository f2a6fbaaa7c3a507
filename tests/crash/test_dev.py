"""`lemline dev`, everything in one process on SQLite: killed in the middle of it all, it goes on at its next start."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.crash.conftest import Open
from tests.crash.definitions import CHILDREN, HELD, MIDDLES, within
from tests.crash.harness import DEV, Ending, Installation
from tests.crash.stub import Stub

NEVER = "/race/lost"


@pytest.fixture(scope="module")
def installation(open_installation: Open, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One process on SQLite."""
    database = tmp_path_factory.mktemp("dev") / "lemline.db"
    with open_installation(f"sqlite:///{Path(database)}", DEV, LEMLINE_EXECUTION_POOLS_COMPUTE_MAX_SIZE="16") as opened:
        yield opened


def test_dev_killed_inside_every_sort_of_task_goes_on_at_its_next_start(installation: Installation, stub: Stub) -> None:
    undisturbed, counts = _run(installation, stub, is_killed=False)

    disturbed, counts_of_disturbed = _run(installation, stub, is_killed=True)

    assert disturbed == undisturbed
    assert counts_of_disturbed == {
        path: count + int(path in HELD.values() or path == NEVER) for path, count in counts.items()
    }


def _run(installation: Installation, stub: Stub, *, is_killed: bool) -> tuple[Mapping[str, Ending], Mapping[str, int]]:
    """Start an instance of each sort, kill while each is under way, let go. What is left, and the calls by path."""
    stub.calls.clear()
    stub.hold(*HELD.values(), NEVER)
    stub.fail("/try/held")
    stub.fail("/delay/flaky")
    for name, tasks in CHILDREN.items():
        installation.register(name, tasks)
    for name, task in MIDDLES.items():
        installation.register(name, within(name, task))
    started = {name: installation.start(name, {"stub": stub.url}) for name in MIDDLES}
    begun = {path: 2 if path == "/try/held" else 1 for path in [*HELD.values(), NEVER]}
    _await_calls(installation, stub, begun)
    if is_killed:
        installation.kill("web")
        installation.revive()
        _await_calls(installation, stub, {path: count + 1 for path, count in begun.items()})
    stub.release(*HELD.values())
    endings = installation.await_end(*started.values())
    stub.release(NEVER)
    return dict(zip(started, endings, strict=True)), stub.counts("/")


def _await_calls(installation: Installation, stub: Stub, wanted: Mapping[str, int]) -> None:
    installation.wait(
        lambda: all(stub.count(path) >= count for path, count in wanted.items()), lambda: stub.counts("/")
    )
