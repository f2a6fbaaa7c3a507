"""What `manage.py check` says of settings."""

from dataclasses import replace
from typing import Any

import pytest

from workflows.checks import check_claims


@pytest.mark.parametrize(
    ("broker", "cache", "warned"),
    [
        ("memory://", "locmem://", []),
        ("redis://h/0", "redis://h/1", []),
        ("redis://h/0", "locmem://", ["lemline.W001"]),
        ("amqp://h", "locmem://", ["lemline.W001"]),
    ],
)
def test_workers_without_a_shared_cache_are_told_what_that_costs(
    settings: Any, broker: str, cache: str, warned: list[str]
) -> None:
    config = settings.LEMLINE
    messaging, caching = replace(config.messaging, url=broker), replace(config.cache, url=cache)
    settings.LEMLINE = replace(config, messaging=messaging, cache=caching)

    assert [warning.id for warning in check_claims(None)] == warned
