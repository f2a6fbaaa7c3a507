"""Short forms of the campaign that `make crash` runs at length."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.crash.campaign.engine import Campaign, Plan
from tests.crash.campaign.faults import World
from tests.crash.campaign.worlds import Shared, opened

OF_PROCESSES_AND_MESSAGES = (
    "worker killed", "killed between two lines", "stopped between two lines", "rolling restart", "queues emptied",
    "messages doubled", "messages dropped", "messages reordered",
)  # fmt: skip
"""Faults that leave servers to others."""


@pytest.fixture
def database(postgresql_server: str, worker_id: str) -> Iterator[str]:
    """URL of an empty database."""
    name = f"test_campaign_{worker_id}_{os.getpid()}"
    yield databases.create(postgresql_server, name)
    databases.drop(postgresql_server, name)


def _assert_all_comes_right(
    plan: Plan, world: AbstractContextManager[World], setting: str, blocker: DjangoDbBlocker
) -> None:
    with blocker.unblock(), world as opened_world:
        report = Campaign(plan, opened_world, setting).run()

    if report.damage:
        pytest.fail(str(report), pytrace=False)
    assert {trial.fault for trial in report.trials if not trial.has_recovered()} == set()
    assert len(report.trials) > len(plan.faults) / 2


def test_under_load_whatever_breaks_nothing_is_lost_and_nothing_is_applied_twice(
    django_db_blocker: DjangoDbBlocker,
) -> None:
    plan = Plan(seed=20, instances=110, overlap=0.5)

    _assert_all_comes_right(plan, opened(plan.seed), "redis", django_db_blocker)


@pytest.mark.parametrize(
    ("seed", "name", "value"),
    [(21, "LEMLINE_MESSAGING_CONSUMER_MAX_BATCH", "1"), (23, "LEMLINE_EXECUTION_CONTINUATION", "auto")],
    ids=["a message for each activity", "processes go on with an instance by themselves"],
)
def test_with_other_settings_neither(
    database: str,
    redis_urls: tuple[str, str],
    django_db_blocker: DjangoDbBlocker,
    seed: int,
    name: str,
    value: str,
) -> None:
    plan = Plan(seed=seed, instances=40, faults=OF_PROCESSES_AND_MESSAGES, overlap=0.5)
    broker, cache = redis_urls
    shared = Shared(database=database, broker=broker, cache=cache)
    world = opened(plan.seed, "redis", {name: value}, shared=shared)

    _assert_all_comes_right(plan, world, f"{name}={value}", django_db_blocker)


@pytest.mark.parametrize("sort", ["classic", "quorum"])
def test_on_rabbitmq_neither(
    database: str, rabbitmq_url: str, redis_urls: tuple[str, str], django_db_blocker: DjangoDbBlocker, sort: str
) -> None:
    plan = Plan(seed=22, instances=40, faults=OF_PROCESSES_AND_MESSAGES, overlap=0.5)
    shared = Shared(database=database, broker=rabbitmq_url, cache=redis_urls[1])
    queues = {"LEMLINE_MESSAGING_RABBITMQ_QUEUE_TYPE": sort}
    world = opened(plan.seed, "rabbitmq", queues, shared=shared)

    _assert_all_comes_right(plan, world, f"rabbitmq, {sort} queues", django_db_blocker)
