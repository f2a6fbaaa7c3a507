"""The API in this process, on an empty database, with nobody who works: activities are left waiting."""

from collections.abc import Iterator

import pytest

from tests.doors import Caller, caller
from workflows.runtime import process


@pytest.fixture
def api(sqlite: str) -> Iterator[Caller]:
    """Somebody with an administrator's key."""
    yield caller()
    process.end()
