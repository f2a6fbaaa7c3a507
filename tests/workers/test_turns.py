"""Which queues a worker asks next."""

from collections import Counter, deque

from workers.routing import Routing
from workers.slots import Slots
from workers.turns import Turns

NAMES = Routing("l", "redis", 3)


class Line:
    """A process with room for two activities, and how much it handles."""

    def __init__(self, *pools: str, aging_interval: int = 1000, threads: int = 8) -> None:
        self.slots = Slots(2, 3, aging_interval)
        self.handled = 0
        self.turns = Turns(NAMES, pools, threads, lambda: self.handled, self.slots, aging_interval)

    def take_from(self, full: dict[str, int]) -> str:
        """Take and finish a message from the first queue that has one."""
        queues, _ = self.turns.ask()
        queue = next(queue for queue in queues if full.get(queue))
        full[queue] -= 1
        self.turns.take("job", queue.removeprefix("l."), 1)
        self.turns.open("job")
        return queue


def test_the_most_urgent_level_of_any_pool_comes_first():
    line = Line("http", "compute")

    queues, waits = line.turns.ask()

    assert queues == ["l.http.1", "l.compute.1", "l.http.2", "l.compute.2", "l.http.3", "l.compute.3"]
    assert waits


def test_pools_take_turns_within_a_level():
    line = Line("http", "compute")
    full = {"l.http.2": 10, "l.compute.2": 10}

    taken = [line.take_from(full) for _ in range(4)]

    assert taken == ["l.http.2", "l.compute.2", "l.http.2", "l.compute.2"]


def test_one_of_so_many_messages_is_of_a_level_that_others_come_before_and_those_levels_take_turns():
    line = Line("io", aging_interval=4)
    full = {"l.io.1": 100, "l.io.2": 100, "l.io.3": 100}

    taken = [line.take_from(full) for _ in range(16)]

    assert [index for index, queue in enumerate(taken) if queue != "l.io.1"] == [3, 7, 11, 15]
    assert Counter(taken) == {"l.io.1": 12, "l.io.3": 2, "l.io.2": 2}


def test_a_message_with_others_before_it_is_taken_within_the_bound_whatever_else_comes():
    interval, before = 5, 7
    line = Line("io", aging_interval=interval)
    low = deque([*["other"] * before, "mine"])
    takes = 0
    while low:
        takes += 1
        if line.take_from({"l.io.1": 1, "l.io.2": 1, "l.io.3": 1}) == "l.io.3":
            low.popleft()

    assert takes <= (before + 1) * interval * (NAMES.levels - 1)


def test_without_room_nothing_is_taken():
    line = Line("io")
    line.slots.announce(2)

    assert line.turns.ask() == ((), False)
    assert not line.turns.looks_again


def test_without_room_only_what_is_more_urgent_than_all_that_waits_in_the_process_is_looked_for():
    line = Line("io", "http")
    line.slots.announce(2)
    line.slots.expect(2, 5)

    queues, waits = line.turns.ask()

    assert queues == ["l.io.1", "l.http.1"]
    assert not waits
    assert line.turns.looks_again
    assert line.turns.ask() == ((), False)


def test_what_was_taken_and_is_not_open_yet_takes_room():
    line = Line("io")
    line.turns.take("job", "io.3", 64)

    assert line.turns.ask()[0] == ["l.io.1", "l.io.2"]
    line.turns.open("job")
    assert line.turns.ask()[1]


def test_a_process_whose_threads_are_busy_has_no_room():
    line = Line("io", threads=3)
    line.handled = 3

    assert line.turns.ask() == ((), False)


def test_a_process_that_stops_asks_no_more():
    line = Line("io")
    line.turns.close()

    assert line.turns.ask() == ((), False)


def test_room_is_told_of_to_whoever_asked_and_found_none_and_only_once():
    line, told = Line("io"), list[str]()
    line.turns.on_room(lambda: told.append("room"))
    line.turns.ask()

    line.turns.take("job", "io.3", 2)
    line.turns.open("job")
    assert told == []

    line.turns.take("job", "io.3", 2)
    line.turns.ask()
    line.turns.open("job")
    line.slots.leave()
    assert told == ["room"]
