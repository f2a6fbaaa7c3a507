"""Activities that take their processes down are found, alone, and taken up again once they are mended."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from tests.crash.conftest import Open
from tests.crash.definitions import child, visit
from tests.crash.harness import SERVED, Installation
from tests.crash.stub import Stub
from workflows import models

QUEUE = "lemline:lemline.compute.3"
"""The list of Redis where messages of the pool `compute` with the usual priority wait."""

REASON = "3 processes died while they ran the task 'swallow'; it is not tried again"
SWALLOW = {"swallow": {"call": "crash/poison", "with": {"url": '${ .stub + "/poison" }', "antidote": "${ .antidote }"}}}


@pytest.fixture(scope="module", params=["locmem://", "redis://"])
def poisoned(
    request: pytest.FixtureRequest, open_installation: Open, database: str, redis_urls: tuple[str, str]
) -> Iterator[Installation]:
    """With claims that tell what a dead process had in hand, and without."""
    broker, cache = redis_urls
    url = cache if request.param == "redis://" else request.param
    with redis.Redis.from_url(broker) as connection:
        connection.flushdb()
    with open_installation(database, SERVED, BROKER_URL=broker, CACHE_URL=url) as opened:
        opened.register("plain", [{"work": visit("/plain")}])
        opened.register("poisonous", [SWALLOW])
        yield opened


def test_one_of_a_message_of_a_hundred_that_kills_its_workers_is_given_up_and_the_others_complete(
    poisoned: Installation, stub: Stub, redis_urls: tuple[str, str]
) -> None:
    stub.calls.clear()
    names = ["poisonous" if number == 7 else "plain" for number in range(100)]
    strays = [{f"stray{number}": child(name, awaited=False)} for number, name in enumerate(names)]
    poisoned.register("together", [{"all": {"fork": {"branches": strays}}}])
    poisoned.kill("compute")
    parent = poisoned.start("together", {"stub": stub.url})
    children = models.Instance.objects.filter(parent=parent)
    with redis.Redis.from_url(redis_urls[0]) as broker:
        poisoned.wait(lambda: children.count() == 100 and broker.llen(QUEUE), children.count)
        messages = broker.llen(QUEUE)

    poisoned.revive("compute")
    poisoned.wait(lambda: not children.filter(ended_at=None).exists(), children.filter(ended_at=None).count)

    poisonous = children.get(workflow="poisonous")
    assert messages < 50
    assert set(children.filter(workflow="plain").values_list("status", flat=True)) == {"completed"}
    assert (poisonous.status, poisonous.given_up) == ("faulted", True)
    assert json.loads(bytes(poisonous.problem or b""))["detail"] == REASON
    # Twice with its worker, and alone; there again where another suspect had run before it.
    assert stub.count("/poison") <= 4
    assert len(set(stub.keys("/poison"))) == 1


@pytest.mark.parametrize("poisoned", ["redis://"], indirect=True)
def test_a_dead_letter_that_was_mended_completes_once_it_is_redelivered(
    poisoned: Installation, stub: Stub, tmp_path: Path
) -> None:
    stub.calls.clear()
    antidote = tmp_path / "antidote"
    instances = [poisoned.start("poisonous", {"stub": stub.url, "antidote": str(antidote)}) for _ in range(2)]
    given_up = models.Instance.objects.filter(pk__in=instances, given_up=True)
    poisoned.wait(lambda: given_up.count() == 2, lambda: stub.counts("/"))
    letters = {each["id"]: (each["reason"], each["position"]) for each in poisoned.ask("GET", "/dead-letters")["items"]}

    by_input, by_file = instances
    poisoned.ask("POST", f"/dead-letters/{by_input}/redeliver", {"input": {"stub": stub.url, "antidote": __file__}})
    poisoned.await_end(by_input)
    antidote.touch()
    poisoned.ask("POST", f"/dead-letters/{by_file}/redeliver", {"reason": "mended"})
    endings = poisoned.await_end(*instances)

    assert [letters[instance] for instance in instances] == [(REASON, "/do/0/swallow")] * 2
    assert [ending.status for ending in endings] == ["completed"] * 2
    assert not given_up.exists()


@pytest.mark.parametrize("poisoned", ["locmem://"], indirect=True)
def test_whatever_takes_its_worker_down_when_its_outcome_is_stored_is_found_as_well(
    poisoned: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    instance = str(uuid4())

    for _ in range(3):
        poisoned.arm("saving", "compute", instance)
        poisoned.start("plain", {"stub": stub.url}, instance)
        poisoned.wait(lambda: not poisoned.armed(), lambda: stub.counts("/"))
    poisoned.wait(lambda: models.Instance.objects.get(pk=instance).given_up, lambda: stub.counts("/"))

    assert stub.count("/plain") == 3


@pytest.mark.parametrize("poisoned", ["locmem://"], indirect=True)
def test_a_long_activity_that_is_in_hand_whenever_its_process_dies_is_innocent(
    poisoned: Installation, stub: Stub
) -> None:
    stub.calls.clear()
    stub.hold("/plain")
    instance = poisoned.start("plain", {"stub": stub.url}, str(uuid4()))

    for deaths in range(1, 5):
        stub.wait_for("/plain", count=deaths)
        poisoned.kill("compute")
        poisoned.revive("compute")
        poisoned.wait(lambda deaths=deaths: stub.count("/plain") > deaths, lambda: stub.counts("/"))
    stub.release("/plain")
    [ending] = poisoned.await_end(instance)

    assert ending.status == "completed"
    assert len(set(stub.keys("/plain"))) == 1
