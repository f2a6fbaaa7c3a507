"""How a worker looks for a broker that is away."""

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from lemline_site.services.program import free_port
from workers.taking import RECONNECT_SECONDS, evenly


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_asked_for_at_even_intervals(scheme: str) -> None:
    pauses: list[float] = []

    connection = evenly(Connection(f"{scheme}://127.0.0.1:{free_port()}//"))
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda error, pause: pauses.append(pause), max_retries=2)

    assert pauses == [RECONNECT_SECONDS] * 2
