"""Room in a process, and who is let in next."""

import threading

from tests.runtimes import DEADLINE_SECONDS
from workers.slots import Slots


class Door:
    """Slots, and who came in."""

    def __init__(self, size: int = 1, aging_interval: int = 1000) -> None:
        self.slots = Slots(size, 5, aging_interval)
        self.entered: list[str] = []

    def come(self, name: str, level: int) -> None:
        self.slots.expect(level, 1)
        self.slots.announce(1)
        if self.slots.enter(level, lambda: self._begin(name, level)):
            self._begin(name, level)

    def _begin(self, name: str, level: int) -> None:
        self.slots.begin(level)
        self.entered.append(name)


def test_who_comes_while_there_is_room_is_let_in():
    door = Door(size=2)

    door.come("a", 5)
    door.come("b", 5)
    door.come("c", 5)

    assert door.entered == ["a", "b"]
    assert door.slots.expected_level() == 5


def test_the_most_urgent_is_next_and_equals_keep_their_order():
    door = Door()
    for name, level in [("first", 3), ("low", 5), ("middle", 3), ("later", 3), ("urgent", 1)]:
        door.come(name, level)

    for _ in range(4):
        door.slots.leave()

    assert door.entered == ["first", "urgent", "middle", "later", "low"]
    assert door.slots.expected_level() is None


def test_once_in_a_while_the_one_that_has_waited_longest_is_next():
    door = Door(aging_interval=4)
    door.come("first", 1)
    door.come("low", 5)
    for number in range(8):
        door.come(f"urgent {number}", 1)

    for _ in range(8):
        door.slots.leave()

    assert door.entered.index("low") == 4


def test_room_that_is_spoken_for_is_none():
    slots = Slots(2, 5, 16)

    slots.announce(2)

    assert slots.room == 0
    assert slots.enter(3, lambda: None)
    assert slots.room == 0


def test_it_is_told_when_there_is_room_again():
    door, told = Door(), []
    door.slots.on_free = lambda: told.append(door.slots.room)
    door.come("a", 3)
    door.come("b", 3)

    door.slots.leave()
    assert told == []
    door.slots.leave()

    assert told == [1]


def test_a_thread_gives_way_between_two_activities_to_what_is_more_urgent_only():
    door = Door()
    door.slots.announce(1)
    door.slots.wait(3)
    door.come("equal", 3)
    door.slots.give_way(3)
    assert door.entered == []

    door.come("urgent", 1)
    thread = threading.Thread(target=door.slots.give_way, args=(3,))
    thread.start()
    while "urgent" not in door.entered:
        thread.join(0.001)
    door.slots.leave()
    door.slots.leave()
    thread.join(DEADLINE_SECONDS)

    assert door.entered == ["urgent", "equal"]
    assert not thread.is_alive()
