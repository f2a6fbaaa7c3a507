"""Pools within one process."""

from queue import SimpleQueue

import pytest

from tests.workers.test_message import delivery
from workers.embedded import LocalWorkers
from workers.message import Message
from workers.routing import Routing
from workflows.runtime.cluster import Presence

DEADLINE_SECONDS = 20.0


class Tray:
    """A desk that puts away what it is given."""

    def __init__(self) -> None:
        self.messages: SimpleQueue[Message] = SimpleQueue()

    def handle(self, message: Message) -> None:
        self.messages.put(message)


@pytest.mark.parametrize(
    ("ready", "sizes"), [(1, [1]), (8, [1] * 8), (20, [2, *[3] * 6]), (1000, [40, *[64] * 15])]
)  # fmt: skip
def test_activities_travel_in_company_once_there_are_more_than_threads_of_their_pool(
    ready: int, sizes: list[int]
) -> None:
    workers, tray = LocalWorkers(Routing("lemline", "memory", 5), Presence(name="t", roles="")), Tray()
    workers.desk = tray  # type: ignore[assignment]

    workers.dispatch([delivery(number) for number in range(ready)])
    taken = [tray.messages.get(timeout=DEADLINE_SECONDS) for _ in sizes]
    workers.stop()

    assert sorted(len(message.items) for message in taken) == sizes
    assert {item.wait_id for message in taken for item in message.items} == {str(number) for number in range(ready)}
