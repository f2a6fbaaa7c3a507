"""That nothing starves, on real brokers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import Installation
from tests.workers.test_priorities import begin, begun, depth, opened

INTERVAL = 4
LEVELS = 5


@pytest.fixture(params=["redis", "quorum"])
def installation(
    request: pytest.FixtureRequest, open_installation: Any, installed_database: str, redis_urls: tuple[str, str]
) -> Iterator[Installation]:
    more = {"BROKER_URL": redis_urls[0], "CACHE_URL": redis_urls[1], "LEMLINE_CLUSTER_NAMESPACE": "aging"}
    if request.param != "redis":
        more |= {
            "BROKER_URL": request.getfixturevalue("rabbitmq_url"),
            "LEMLINE_MESSAGING_RABBITMQ_QUEUE_TYPE": request.param,
        }
    more |= {
        "LEMLINE_EXECUTION_PRIORITIZATION_AGING_INTERVAL": str(INTERVAL),
        "LEMLINE_MESSAGING_CONSUMER_MAX_BATCH": "1",
    }
    with opened(open_installation, installed_database, **more) as opening:
        yield opening


def test_what_is_least_urgent_is_run_within_the_bound_while_urgent_ones_wait(
    installation: Installation, tmp_path: Path
) -> None:
    held = begin(installation, "hold", tmp_path, 3, 1)
    installation.wait(lambda: begun(tmp_path))
    low = begin(installation, "note-compute", tmp_path, 5, 2)
    urgent = begin(installation, "note-http", tmp_path, 1, 60)
    # RabbitMQ may have sent one of each queue ahead, in the moment after the first was taken.
    installation.wait(lambda: depth(installation, "http", 1) >= 59 and depth(installation, "compute", 5) >= 1)

    (tmp_path / "go").touch()
    installation.await_end(held, low, urgent)

    order = begun(tmp_path)[1:]
    first, second = (index + 1 for index, name in enumerate(order) if name == "note-compute 5")
    assert first <= INTERVAL * (LEVELS - 1)
    assert second <= 2 * INTERVAL * (LEVELS - 1)
    assert order.count("note-http 1") == 60
