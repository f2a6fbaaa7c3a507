"""What a worker that is told to stop has taken and not begun, on real brokers. No lease ends within these tests."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.crash.harness import WEB, Commands, Installation
from tests.workers.test_priorities import begin, begun, noting
from tests.workers.test_stopping import await_stop, stop

COMMANDS: Commands = {
    "web": WEB,
    "worker": ("manage.py", "lemline", "worker", "--roles", "compute,maintenance"),
}
PATIENT = {
    "LEMLINE_ACTIVITIES": "tests.workers.plug",
    "LEMLINE_EXECUTION_LEASE": "10m",
    "LEMLINE_EXECUTION_GRACE": "5m",
    "LEMLINE_EXECUTION_POOLS_COMPUTE_MAX_SIZE": "1",
    "LEMLINE_EXECUTION_POOLS_MAINTENANCE_MAX_SIZE": "1",
}


@pytest.fixture(params=["redis", "classic", "quorum"])
def installation(
    request: pytest.FixtureRequest, open_installation: Any, installed_database: str, redis_urls: tuple[str, str]
) -> Iterator[Installation]:
    urls = {"BROKER_URL": redis_urls[0], "CACHE_URL": redis_urls[1], "LEMLINE_CLUSTER_NAMESPACE": "passing"}
    if request.param != "redis":
        urls |= {
            "BROKER_URL": request.getfixturevalue("rabbitmq_url"),
            "LEMLINE_CLUSTER_NAMESPACE": f"passing-{request.param}",
            "LEMLINE_MESSAGING_RABBITMQ_QUEUE_TYPE": request.param,
        }
    with open_installation(installed_database, COMMANDS, **PATIENT, **urls) as opened:
        opened.register("first", [{"many": noting("compute", "turn/first")}])
        yield opened


def test_what_has_not_begun_is_run_by_another_worker_while_what_runs_is_finished(
    installation: Installation, tmp_path: Path, redis_urls: tuple[str, str]
) -> None:
    instance = begin(installation, "first", tmp_path, 3, 6)
    installation.wait(lambda: begun(tmp_path))
    stopping = stop(installation)

    with installation.another("worker", "second"):
        installation.wait(lambda: len(begun(tmp_path)) == 6, lambda: begun(tmp_path))
        later = begin(installation, "first", tmp_path / "..", 3, 0)
        installation.await_end(later)
        assert stopping.poll() is None
        (tmp_path / "go").touch()
        await_stop(installation, stopping)
        [ending] = installation.await_end(instance)
        installation.send("worker-second", signal.SIGTERM)
        assert installation._processes["worker-second"].running.wait(30) == 0
        installation._processes["worker-second"].is_wanted = False

    assert ending.status == "completed"
    assert len(begun(tmp_path)) == 6
    if installation.environment["BROKER_URL"] == redis_urls[0]:
        with redis.Redis.from_url(redis_urls[0]) as broker:
            assert [key for key in broker.keys("passing:*") if b"unacked" in key or b"compute" in key] == []


def test_what_arrives_while_a_worker_stops_is_taken_by_another_one_at_once(
    installation: Installation, tmp_path: Path
) -> None:
    held = begin(installation, "first", tmp_path, 3, 1)
    installation.wait(lambda: begun(tmp_path))
    with installation.another("worker", "second"):
        stopping = stop(installation)
        others = [begin(installation, "first", tmp_path, level, 2) for level in (1, 2, 3, 4, 5) for _ in range(4)]
        (tmp_path / "go").touch()
        installation.await_end(held, *others)
        await_stop(installation, stopping)

    assert len(begun(tmp_path)) == 41
