"""What Flower hears of a worker, and what it costs."""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import redis
from celery import Celery

from tests.crash.harness import WEB, Commands, Installation
from tests.workers.test_priorities import begin, begun, noting

COMMANDS: Commands = {
    "web": WEB,
    "worker": ("manage.py", "lemline", "worker", "--roles", "compute,maintenance"),
}
NAMESPACE = "events"


@pytest.fixture
def installation(
    open_installation: Any, installed_database: str, redis_urls: tuple[str, str]
) -> Iterator[Installation]:
    urls = {"BROKER_URL": redis_urls[0], "CACHE_URL": redis_urls[1], "LEMLINE_CLUSTER_NAMESPACE": NAMESPACE}
    more = {"LEMLINE_ACTIVITIES": "tests.workers.plug", "LEMLINE_MESSAGING_CONSUMER_MAX_BATCH": "1"}
    with open_installation(installed_database, COMMANDS, **more, **urls) as opened:
        opened.register("first", [{"many": noting("compute", "turn/note")}])
        yield opened


@contextlib.contextmanager
def listening(url: str) -> Iterator[Counter[str]]:
    """Count the events as Flower hears them."""
    heard: Counter[str] = Counter()
    celery = Celery("flower", broker=url, broker_transport_options={"global_keyprefix": f"{NAMESPACE}:"})
    done = Event()

    def count(event: Any) -> None:
        heard[event["type"]] += 1

    def listen() -> None:
        with celery.connection() as connection:
            receiver = celery.events.Receiver(connection, handlers={"*": count})
            with receiver.consumer_context() as (connection, _, _):
                while not done.is_set():
                    with contextlib.suppress(socket.timeout):
                        connection.drain_events(timeout=0.1)

    thread = Thread(target=listen, daemon=True)
    thread.start()
    yield heard
    done.set()
    thread.join()
    celery.close()


def test_every_job_is_heard_of_and_many_share_a_message(
    installation: Installation, tmp_path: Path, redis_urls: tuple[str, str]
) -> None:
    with (
        redis.Redis.from_url(redis_urls[0]) as broker, broker.pubsub() as channel, listening(redis_urls[0]) as heard
    ):  # fmt: skip
        installation.wait(lambda: heard["worker-heartbeat"])
        channel.psubscribe(f"{NAMESPACE}:*celeryev*")

        instance = begin(installation, "first", tmp_path, 3, 200)
        installation.await_end(instance)
        installation.wait(lambda: heard["task-succeeded"] == 200, lambda: heard)
        messages = sum(1 for _ in iter(lambda: channel.get_message(timeout=0.1), None))

    assert len(begun(tmp_path)) == 200
    assert (heard["task-received"], heard["task-started"]) == (200, 200)
    assert 0 < messages < 100
