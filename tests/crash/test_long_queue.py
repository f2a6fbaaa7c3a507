"""Twenty thousand jobs stand in one queue, and one worker is slow: nobody takes them for lost."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.utils import timezone

from tests.crash.campaign.mail import instances_of
from tests.crash.conftest import Open
from tests.crash.harness import LEASE_SECONDS, SERVED, Installation
from tests.crash.stub import Stub
from workflows import models

JOBS = 20_000
LEASES = 3
"""For how long the sweeper walks past them: twice what it takes it to find a ring that is lost."""

QUEUE = "lemline:lemline.compute.3"


@pytest.fixture
def slow(open_installation: Open, database: str, redis_urls: tuple[str, str]) -> Iterator[Installation]:
    """One worker that does one thing at a time, a sweeper, and a message for each activity."""
    broker, cache = redis_urls
    commands = {name: SERVED[name] for name in ("maintenance", "compute")}
    alone = {"LEMLINE_MESSAGING_CONSUMER_MAX_BATCH": "1", "LEMLINE_EXECUTION_POOLS_COMPUTE_MAX_SIZE": "1"}
    with open_installation(database, commands, BROKER_URL=broker, CACHE_URL=cache, **alone) as opened:
        yield opened


@pytest.mark.slow
def test_what_stands_in_a_long_queue_is_never_rung_for_twice(
    slow: Installation, stub: Stub, redis_urls: tuple[str, str]
) -> None:
    stub.delay("/crowd", 0.2)
    slow.run("-m", "tests.crash.crowd", str(JOBS), f"{stub.url}/crowd")

    until = timezone.now() + timedelta(seconds=LEASES * LEASE_SECONDS)
    slow.wait(lambda: _every_one_was_looked_at(until), lambda: stub.counts("/"))
    slow.kill("compute", "maintenance")
    with redis.Redis.from_url(redis_urls[0]) as broker:
        messages = [json.loads(each) for each in broker.lrange(QUEUE, 0, -1)]
        entries = [json.loads(each)[0] for each in broker.hvals("lemline:unacked")]
    waiting, taken = ([name for each in part for name in instances_of(each)] for part in (messages, entries))

    ended = set(map(str, models.Instance.objects.filter(status="completed").values_list("pk", flat=True)))
    assert 1 < len(ended) < JOBS / 2
    assert len({*waiting, *taken}) == len(waiting) + len(taken)
    stored = set(map(str, models.Instance.objects.values_list("pk", flat=True)))
    # Kombu pops a message before it notes that it has: the one that it was about to note dies with it.
    assert len(stored - {*waiting, *taken, *ended}) <= 1
    assert {ring for _, _, ring in slow.claims()} == {1}


def _every_one_was_looked_at(until) -> bool:
    """Return whether the sweeper has walked past all that is open since a time."""
    threading.Event().wait(0.3)
    # It says when it will look next, a third of a lease ahead.
    return not models.Checkpoint.objects.filter(leased_until__lt=until + timedelta(seconds=LEASE_SECONDS / 3)).exists()
