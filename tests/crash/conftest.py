"""Installations for a module of tests: one on PostgreSQL and Redis, and one on RabbitMQ."""

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
import redis
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.crash.harness import SERVED, Commands, Installation
from tests.crash.installing import installed
from tests.crash.stub import Stub

Open = Callable[..., contextlib.AbstractContextManager[Installation]]


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    """The service that workflows of this module call."""
    service = Stub()
    yield service
    service.close()


@pytest.fixture(scope="module")
def open_installation(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, django_db_blocker: DjangoDbBlocker
) -> Open:
    """Open an installation on a database that exists: `with open_installation(url, commands, **environment)`."""

    @contextlib.contextmanager
    def opened(database: str, commands: Commands, **more: str) -> Iterator[Installation]:
        with (
            django_db_blocker.unblock(),
            installed(tmp_path_factory.mktemp("installation"), database, commands, **more) as installation,
        ):
            yield installation

    return opened


@pytest.fixture(scope="module")
def database(postgresql_server: str, worker_id: str) -> Iterator[str]:
    """URL of an empty database on PostgreSQL."""
    name = f"test_crash_{worker_id}_{os.getpid()}"
    yield databases.create(postgresql_server, name)
    databases.drop(postgresql_server, name)


@pytest.fixture(scope="module")
def redis_urls(redis_server: str, worker_id: str) -> tuple[str, str]:
    """URLs of two empty Redis databases, for messages and for what may be forgotten."""
    first = 2 * (0 if worker_id == "master" else int(worker_id.removeprefix("gw")) % 8)
    urls = (f"{redis_server}/{first}", f"{redis_server}/{first + 1}")
    for url in urls:
        with redis.Redis.from_url(url) as connection:
            connection.flushdb()
    return urls


@pytest.fixture(scope="module")
def installation(open_installation: Open, database: str, redis_urls: tuple[str, str]) -> Iterator[Installation]:
    """One process per role on PostgreSQL and Redis."""
    broker, cache = redis_urls
    with open_installation(database, SERVED, BROKER_URL=broker, CACHE_URL=cache) as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]"):
    """A failure shows what the processes wrote."""
    report = yield
    for given in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(given, Installation):
            report.sections.append(("processes", given.logs()))
    return report
