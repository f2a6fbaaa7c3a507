"""Runtimes whose stepper runs, and installations of real processes."""

from collections.abc import Callable, Iterator

import pytest

from tests.crash.conftest import database as installed_database  # noqa: F401  (a fixture)
from tests.crash.conftest import open_installation, redis_urls  # noqa: F401  (fixtures)
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

    def make(max_size: int = 8) -> Office:
        made.append(Office(Runtime(), max_size))
        return made[-1]

    yield make
    for office in made:
        office.close()


@pytest.fixture
def office(new_office: Callable[..., Office]) -> Office:
    """A process that runs activities."""
    return new_office()
