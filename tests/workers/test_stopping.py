"""Real workers that are told to stop while they work, on real brokers."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import WEB, Commands, Installation
from tests.waiting import wait_until

COMMANDS: Commands = {
    "web": WEB,
    "worker": ("manage.py", "lemline", "worker", "--roles", "http,compute,maintenance"),
}
GRACE = {"LEMLINE_EXECUTION_GRACE": "1s", "LEMLINE_ACTIVITIES": "tests.workers.plug"}


@contextlib.contextmanager
def opened(open_installation: Any, database: str, **urls: str) -> Iterator[Installation]:
    """A door and a worker."""
    with open_installation(database, COMMANDS, **urls, **GRACE) as installation:
        for name in ("heed", "ignore"):
            installation.register(name, [{"work": {"call": f"stop/{name}", "with": {"folder": "${ .folder }"}}}])
        command = "echo $$ >> ${ .folder }/begun; sleep 300"
        installation.register("sleep", [{"work": {"run": {"shell": {"command": command}}}}])
        yield installation


@pytest.fixture(scope="module")
def installation(
    open_installation: Any, installed_database: str, redis_urls: tuple[str, str]
) -> Iterator[Installation]:
    """On Redis."""
    broker, cache = redis_urls
    with opened(open_installation, installed_database, BROKER_URL=broker, CACHE_URL=cache) as installation:
        yield installation


def begun(folder: Path) -> list[str]:
    """Return the processes that began, in their order."""
    file = folder / "begun"
    return file.read_text().split() if file.exists() else []


def begin(installation: Installation, name: str, folder: Path) -> str:
    """Return an instance whose activity has begun."""
    instance = installation.start(name, {"folder": str(folder)})
    installation.wait(lambda: begun(folder))
    return instance


def stop(installation: Installation) -> "subprocess.Popen[bytes]":
    """Tell the worker to stop."""
    process = installation._processes["worker"]
    process.is_wanted = False
    assert process.running is not None
    process.running.send_signal(signal.SIGTERM)
    return process.running


def await_stop(installation: Installation, stopping: "subprocess.Popen[bytes]") -> None:
    """Return once a worker has ended, in order and without complaint."""
    assert stopping.wait(30) == 0
    log = installation._processes["worker"].log.read_text(errors="replace")
    assert "Unclosed" not in log
    assert "Traceback" not in log


def test_what_ends_within_the_grace_is_finished_by_the_worker_that_stops(installation: Installation, tmp_path: Path):
    instance = begin(installation, "heed", tmp_path)

    stopping = stop(installation)
    (tmp_path / "go").touch()
    await_stop(installation, stopping)
    installation.revive("worker")
    [ending] = installation.await_end(instance)

    assert ending.status == "completed"
    assert [str(ending.output)] == begun(tmp_path)


@pytest.mark.parametrize("name", ["heed", "ignore"])
def test_what_does_not_end_within_the_grace_is_finished_by_another_worker(
    installation: Installation, tmp_path: Path, name: str
):
    instance = begin(installation, name, tmp_path)

    stopping = stop(installation)
    await_stop(installation, stopping)
    installation.revive("worker")
    installation.wait(lambda: len(begun(tmp_path)) > 1, lambda: installation.logs())
    (tmp_path / "go").touch()
    [ending] = installation.await_end(instance)

    assert ending.status == "completed"
    assert ending.history == [("/do/0/work", "completed", 1, None)]
    assert [int(pid) for pid in begun(tmp_path)][-1] == ending.output


def test_a_child_process_does_not_outlive_the_worker_that_stops(installation: Installation, tmp_path: Path):
    instance = begin(installation, "sleep", tmp_path)
    [child] = begun(tmp_path)

    stopping = stop(installation)
    await_stop(installation, stopping)

    wait_until(lambda: not Path(f"/proc/{child}").exists())
    installation.ask("POST", f"/instances/{instance}/cancel", {})
    installation.revive("worker")
    [ending] = installation.await_end(instance)
    assert ending.status == "cancelled"


def test_on_rabbitmq_too_another_worker_goes_on(
    open_installation: Any, installed_database: str, rabbitmq_url: str, tmp_path: Path
):
    with opened(
        open_installation, installed_database, BROKER_URL=rabbitmq_url, LEMLINE_CLUSTER_NAMESPACE="stopping"
    ) as installation:
        instance = begin(installation, "heed", tmp_path)

        await_stop(installation, stop(installation))
        installation.revive("worker")
        installation.wait(lambda: len(begun(tmp_path)) > 1, lambda: installation.logs())
        (tmp_path / "go").touch()
        [ending] = installation.await_end(instance)

        assert ending.history == [("/do/0/work", "completed", 1, None)]
        assert int(begun(tmp_path)[-1]) == ending.output
