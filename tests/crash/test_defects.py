"""The campaign can fail: with any of these mistakes planted into the runtime, it finds the damage."""

import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.crash.campaign.engine import Campaign, Plan
from tests.crash.campaign.faults import WORKERS, World
from tests.crash.campaign.load import Load
from tests.crash.campaign.worlds import Shared, opened
from workflows import models

FOUND: dict[str, tuple[Sequence[str], str]] = {
    "publish before commit": ((), "rung for again though nothing happened"),
    "acknowledge before commit": (("stopped between two lines",), "acknowledged before its outcome was committed"),
    "wait id not checked": (("stopped between two lines",), "runs is .*/do/1/second"),
    "lease per instance": (("ring lost beside a long branch",), "the sweeper passed over"),
    "sweeper blind to an emptied queue": (("ring lost from an idle queue",), "the sweeper passed over"),
    "a worker's wall clock": (("wall clocks stepped",), "calls were repeated though nothing broke"),
}
"""By mistake: the faults that show it, none where it shows by itself; and what is told of it."""

SEEDS = (4, 5, 6)
"""Of the campaigns that are tried, one after the other, until one finds the mistake."""


@pytest.fixture(scope="module")
def opened_world(
    postgresql_server: str, redis_urls: tuple[str, str], worker_id: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[World]:
    """A world on servers that are left alone, whose processes can be told to make a mistake."""
    name = f"test_defects_{worker_id}_{os.getpid()}"
    broker, cache = redis_urls
    shared = Shared(database=databases.create(postgresql_server, name), broker=broker, cache=cache)
    modules = {"LEMLINE_ACTIVITIES": "tests.crash.plug,tests.crash.campaign.defects"}
    with django_db_blocker.unblock(), opened(0, environment=modules, shared=shared) as world:
        yield world
    databases.drop(postgresql_server, name)


@pytest.fixture
def world(opened_world: World) -> Iterator[World]:
    """The same for a test, as if it had just been opened."""
    world = opened_world
    yield world
    planted = world.installation.folder / "planted"
    if planted.exists() and planted.read_text() == "a worker's wall clock":
        # With it goes what processes noted at times that never were.
        world.installation.kill(*WORKERS)
        models.Node.objects.all().delete()
        world.broker.flush()
        world.installation.revive()
    planted.unlink(missing_ok=True)
    # Without the mistake, it mends what it can.
    world.installation.wait(lambda: not models.Checkpoint.objects.exists(), lambda: models.Checkpoint.objects.count())


def _damage(world: World, faults: Sequence[str], seed: int = 4) -> Sequence[str]:
    """Return what a campaign of these faults finds."""
    plan = Plan(seed=seed, instances=24, faults=faults, kinds=("series",), overlap=0.0)
    world.stub.calls.clear()
    load = Load(world.installation, world.stub.url)
    world = replace(world, load=load, chance=random.Random(seed), damage=[], places=("ended",), patience_looks=9)
    return Campaign(plan, world, "redis").run().damage


@pytest.mark.parametrize("mistake", FOUND)
def test_the_campaign_finds_what_a_mistake_in_the_runtime_does(world: World, mistake: str) -> None:
    faults, told = FOUND[mistake]
    (world.installation.folder / "planted").write_text(mistake)

    # Some mistakes do harm only where a process is stopped between two certain lines, which chance may spare once.
    damage: list[str] = []
    for seed in SEEDS:
        damage += _damage(world, faults, seed)
        if any(re.search(told, each) for each in damage):
            return

    pytest.fail(f"The mistake was not found: {damage}")


def test_without_a_mistake_the_same_campaigns_find_nothing(world: World) -> None:
    faults = sorted({fault for faults, _ in FOUND.values() for fault in faults})

    assert _damage(world, faults) == []
