"""How activities that became ready together travel, and where to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from django.conf import settings
from django.utils import timezone

from lemline_site.config.sections import Prioritization
from tests.workers.test_message import delivery
from workers.activities import activity
from workers.claims import LocalClaims
from workers.dispatcher import CeleryWorkers, Unreachable, messages_of, pool_of
from workers.message import Message
from workers.routing import Routing, routing
from workflows.models import Node
from workflows.runtime.cluster import Presence
from workflows.runtime.ports import Delivery, DispatchError

PLAIN = Prioritization(enabled=False)
NAMES = Routing("lemline", "redis", 5)


class Box:
    """A broker that keeps everything."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.is_away = False
        self.waiting: Mapping[str, int] = {}
        self.asked = 0

    def publish(self, messages: Sequence[Message]) -> Mapping[str, int]:
        self.asked += 1
        if self.is_away:
            raise DispatchError("away")
        self.messages.extend(messages)
        return self.waiting

    def depths(self) -> Mapping[str, int]:
        return self.waiting

    @property
    def sizes(self) -> list[int]:
        return [len(message.items) for message in self.messages]


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def workers(box: Box, sqlite: str, registry: None) -> CeleryWorkers:
    presence = Presence(name="t", roles="")
    presence.horizon = lambda: timezone.now() - timedelta(seconds=30)
    return CeleryWorkers(NAMES, box, LocalClaims(presence), presence)


def serve(roles: str, *, silent_for: float = 0) -> None:
    seen = timezone.now() - timedelta(seconds=silent_for)
    Node.objects.create(
        id=Presence(name="", roles="").id, name="n", roles=roles, started_at=seen, seen_at=seen, taken={}, held=[]
    )


def many(count: int, **more: object) -> list[Delivery]:
    return [delivery(number, **more) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("count", "processes", "sizes"),
    [(1, 4, [1]), (4, 4, [1, 1, 1, 1]), (8, 4, [2, 2, 2, 2]), (9, 4, [3, 3, 3]), (3, 0, [3]), (130, 1, [64, 64, 2])],
)
def test_activities_spread_over_the_processes_of_their_pool(
    workers: CeleryWorkers, box: Box, count: int, processes: int, sizes: list[int]
):
    for _ in range(processes):
        serve("compute,io")
    serve("http")
    serve("compute", silent_for=60)

    workers.dispatch(many(count))

    assert box.sizes == sizes


def test_while_messages_wait_for_every_process_they_are_as_large_as_they_may_be(workers: CeleryWorkers, box: Box):
    for _ in range(4):
        serve("compute")
    box.waiting = {"compute/3": 5}

    workers.dispatch(many(4))
    workers.dispatch(many(100))

    assert box.sizes == [1, 1, 1, 1, 64, 36]


def test_a_suspect_travels_alone(workers: CeleryWorkers, box: Box):
    workers.dispatch([*many(3), delivery(4, suspect=True), delivery(5, suspect=True)])

    assert sorted(box.sizes) == [1, 1, 3]


def test_pools_and_priorities_travel_apart(workers: CeleryWorkers, box: Box):
    first, second = many(2)
    urgent = msgspec.structs.replace(second, priority=1)
    calling = msgspec.structs.replace(first, command=msgspec.structs.replace(first.command, pool="http"))

    workers.dispatch([first, urgent, calling])

    assert sorted((message.pool, message.level) for message in box.messages) == [
        ("compute", 1), ("compute", 3), ("http", 3),
    ]  # fmt: skip


def test_a_broker_that_was_away_a_moment_ago_is_not_asked_again_at_once(workers: CeleryWorkers, box: Box):
    box.is_away = True

    for _ in range(3):
        with pytest.raises(DispatchError):
            workers.dispatch(many(1))

    assert box.asked == 1


def test_a_door_without_workers_in_reach_says_so():
    door = Unreachable(NAMES)

    with pytest.raises(DispatchError, match="another process"):
        door.dispatch(many(1))


@pytest.mark.parametrize(
    ("pool", "function", "expected"),
    [
        ("http", "tests/io", "http"),
        ("", "tests/io", "io"),
        ("", "tests/absent", "compute"),
        ("gpu", "tests/io", "compute"),
        ("maintenance", "tests/io", "compute"),
    ],
)
def test_a_task_names_its_pool_else_its_function_does(registry: None, pool: str, function: str, expected: str):
    @activity("tests/io", pool="io")
    def io() -> None: ...

    command = msgspec.structs.replace(delivery().command, pool=pool, arguments={"function": function})

    assert pool_of(command) == expected


def of_priority(priority: int) -> Delivery:
    return msgspec.structs.replace(delivery(), priority=priority)


def test_without_levels_all_priorities_share_a_queue() -> None:
    names = routing(replace(settings.LEMLINE, execution=replace(settings.LEMLINE.execution, prioritization=PLAIN)))

    [message] = messages_of(names, [of_priority(5), of_priority(1)], lambda pool, level, count: count)

    assert (message.level, len(message.items)) == (1, 2)
    assert [queue.name for queue in names.queues() if ".http." in queue.name] == ["lemline.http.1"]


def test_a_priority_that_has_no_level_of_its_own_takes_the_last_one() -> None:
    [message] = messages_of(Routing("lemline", "redis", 3), [of_priority(5)], lambda pool, level, count: count)

    assert message.level == 3
