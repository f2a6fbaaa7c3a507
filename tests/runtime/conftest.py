"""Runtimes of processes that share a database."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from tests.clocks import SetClock, settable
from tests.runtimes import Beside, Runtime


@pytest.fixture
def new_runtime() -> Iterator[Callable[[], Runtime]]:
    """Make one more process."""
    made: list[Runtime] = []

    def make() -> Runtime:
        made.append(Runtime())
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def runtime(database: str, new_runtime: Callable[[], Runtime]) -> Runtime:
    """A process, on PostgreSQL and on SQLite."""
    return new_runtime()


@pytest.fixture
def other(runtime: Runtime, new_runtime: Callable[[], Runtime]) -> Runtime:
    """Another process on the same database."""
    return new_runtime()


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Threads."""
    threads = Beside()
    yield threads
    threads.close()


@pytest.fixture
def set_clock(runtime: Runtime) -> Iterator[SetClock]:
    """Set the database's clock."""
    with settable() as set_to:
        yield set_to


@pytest.fixture
def postgresql_only(runtime: Runtime) -> None:
    """Leave out a race that SQLite's one process and one lock do not have."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one process")
