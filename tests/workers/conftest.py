"""Runtimes whose stepper runs, and installations of real processes."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests import databases
from tests.crash.conftest import open_installation, pytest_runtest_makereport, redis_urls  # noqa: F401  (fixtures)
from tests.runtimes import Runtime
from tests.workers.desks import Office
from workers.activities import functions


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(functions, "_functions", {})


@pytest.fixture
def new_office(sqlite: str, registry: None) -> Iterator[Callable[..., Office]]:
    """Make one more process that runs activities; its stepper runs."""
    made: list[Office] = []

    def make(max_size: int = 8, **more: str) -> Office:
        made.append(Office(Runtime(), max_size, **more))
        return made[-1]

    yield make
    for office in made:
        office.close()


@pytest.fixture
def office(new_office: Callable[..., Office]) -> Office:
    """A process that runs activities."""
    return new_office()


@pytest.fixture(scope="module")
def installed_database(postgresql_server: str, worker_id: str) -> Iterator[str]:
    """URL of an empty database on PostgreSQL."""
    name = f"test_workers_{worker_id}_{os.getpid()}"
    yield databases.create(postgresql_server, name)
    databases.drop(postgresql_server, name)
