"""Which of the jobs that wait a busy worker takes next, on real brokers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import WEB, Commands, Installation
from workflows import models

COMMANDS: Commands = {
    "web": WEB,
    "worker": ("manage.py", "lemline", "worker", "--roles", "http,compute,io,maintenance"),
}
ONE_AT_A_TIME = {f"LEMLINE_EXECUTION_POOLS_{pool}_MAX_SIZE": "1" for pool in ("HTTP", "COMPUTE", "IO", "MAINTENANCE")}


def noting(pool: str, function: str = "turn/note") -> dict[str, Any]:
    """Return a task that notes when each of its items begins, all of them ready at once."""
    arguments = {"folder": "${ .folder }", "label": "${ $label }"}
    work = {"call": function, "with": arguments, "metadata": {"pool": pool}}
    return {"for": {"in": "${ .labels }", "each": "label", "parallel": True}, "do": [{"work": work}]}


@contextlib.contextmanager
def opened(open_installation: Any, database: str, **more: str) -> Iterator[Installation]:
    """A door, and a worker that does one thing at a time."""
    own = {"LEMLINE_ACTIVITIES": "tests.workers.plug", "LEMLINE_EXECUTION_PRIORITIZATION_AGING_INTERVAL": "1000"}
    with open_installation(database, COMMANDS, **{**ONE_AT_A_TIME, **own, **more}) as installation:
        # Workers killed a moment ago would count, and what is ready at once be shared out among more messages.
        models.Node.objects.exclude(pk=installation.node("worker").pk).delete()
        for pool in ("http", "compute", "io"):
            installation.register(f"note-{pool}", [{"many": noting(pool)}])
        installation.register("hold", [{"one": noting("compute", "turn/hold")}])
        yield installation


@pytest.fixture(
    scope="module",
    params=[("redis", "64"), ("redis", "1"), ("classic", "64"), ("quorum", "1")],
    ids=["redis, in batches", "redis, one by one", "classic queues, in batches", "quorum queues, one by one"],
)
def installation(
    request: pytest.FixtureRequest, open_installation: Any, installed_database: str, redis_urls: tuple[str, str]
) -> Iterator[Installation]:
    broker, batch = request.param
    urls = {"BROKER_URL": redis_urls[0], "CACHE_URL": redis_urls[1]}
    if broker != "redis":
        urls = {
            "BROKER_URL": request.getfixturevalue("rabbitmq_url"),
            "LEMLINE_CLUSTER_NAMESPACE": f"priorities-{broker}",
            "LEMLINE_MESSAGING_RABBITMQ_QUEUE_TYPE": broker,
        }
    with opened(open_installation, installed_database, LEMLINE_MESSAGING_CONSUMER_MAX_BATCH=batch, **urls) as opening:
        yield opening


def begin(installation: Installation, name: str, folder: Path, priority: int, count: int) -> str:
    """Start an instance with so many activities that are ready at once."""
    labels = [f"{name} {priority} {number}" for number in range(count)]
    body = {
        "workflow": {"namespace": "crash", "name": name}, "priority": priority,
        "input": {"folder": str(folder), "labels": labels},
    }  # fmt: skip
    return str(installation.ask("POST", "/instances", body)["id"])


def begun(folder: Path) -> list[str]:
    """Return name and priority of what began, in its order."""
    file = folder / "order"
    return [line.rpartition(" ")[0] for line in file.read_text().splitlines()] if file.exists() else []


def depth(installation: Installation, pool: str, level: int) -> int:
    """Return how many messages wait."""
    [queue] = [queue for queue in installation.ask("GET", "/queues")["items"] if queue["pool"] == pool]
    return int(queue["depth"][str(level)])


def test_five_urgent_ones_are_run_before_fifty_that_were_queued_before_them(
    installation: Installation, tmp_path: Path
) -> None:
    held = begin(installation, "hold", tmp_path, 5, 1)
    installation.wait(lambda: begun(tmp_path))
    fifty = begin(installation, "note-compute", tmp_path, 5, 50)
    five = begin(installation, "note-http", tmp_path, 1, 5)
    installation.wait(lambda: depth(installation, "http", 1) and depth(installation, "compute", 5))

    (tmp_path / "go").touch()
    installation.await_end(held, fifty, five)

    assert begun(tmp_path) == ["hold 5", *["note-http 1"] * 5, *["note-compute 5"] * 50]


def test_fifty_that_a_worker_has_taken_make_way_for_five_urgent_ones(
    installation: Installation, tmp_path: Path
) -> None:
    fifty = begin(installation, "hold", tmp_path, 5, 50)
    installation.wait(lambda: begun(tmp_path))
    five = begin(installation, "note-io", tmp_path, 1, 5)
    # In a batch they are taken beside what runs; one by one, they wait for their turn outside.
    installation.wait(lambda: "io/1" in installation.node("worker").taken or depth(installation, "io", 1) == 5)

    (tmp_path / "go").touch()
    installation.await_end(fifty, five)

    order = begun(tmp_path)
    first = order.index("note-io 1")
    assert order[first : first + 5] == ["note-io 1"] * 5
    assert first < 5
    assert len(order) == 55
