"""Which queues a worker process asks next, and in which order.

The most urgent level of any of its queues comes first; pools take turns within a level. Once in a while a level
that others are taken before comes first, so that nothing starves. A process that has no room takes only what is
more urgent than everything that waits in it already.
"""

import time
from collections.abc import Callable, Sequence

from workers.routing import Routing
from workers.slots import Slots

LOOK_SECONDS = 0.02
"""How often a process without room looks for what is more urgent."""


class Turns:
    """The order of one process.

    Args:
        names: Names of the queues.
        pools: Those that it serves.
        threads: Messages that it handles at the same time; those that are more urgent come on top.
        handled: Gives how many it has.
        slots: Its room for activities.
        aging_interval: One of so many messages is taken from a level that others would be taken before.
    """

    def __init__(
        self,
        names: Routing,
        pools: Sequence[str],
        threads: int,
        handled: Callable[[], int],
        slots: Slots,
        aging_interval: int,
    ) -> None:
        self._threads = threads
        self._handled = handled
        self._slots = slots
        self._interval = aging_interval
        self._levels = names.levels
        self._queues = {level: [names.queue(pool, level) for pool in pools] for level in range(1, names.levels + 1)}
        self._places = {
            # RabbitMQ's exchange without a name knows queues by theirs.
            key: (names.queue(*place), place[1])
            for place in names.places()
            for key in (names.key(*place), names.queue(*place))
        }
        self._taken = 0
        self._oldest = names.levels
        """The level that comes first when it is the turn of those that wait long."""

        self._is_closed = False
        self._on_room: Callable[[], object] = lambda: None
        self._wants_room = False
        self._look_at = 0.0
        self._coming: dict[str, tuple[int, int]] = {}
        """Messages that were taken and not opened yet: level, and activities at most."""

    def ask(self) -> tuple[Sequence[str], bool]:
        """Return the queues to ask now, and whether to wait at them when all are empty.

        Without room there are none, or some to look into without waiting, each `LOOK_SECONDS`.
        """
        if self._is_closed:
            return (), False
        # In this order: room that comes between the two is either seen or told.
        self._wants_room = True
        if self._has_room():
            self._wants_room = False
            return [queue for level in self._order() for queue in self._queues[level]], True
        now, bound = time.monotonic(), self._waiting_level()
        if bound is None or now < self._look_at:
            return (), False
        self._look_at = now + LOOK_SECONDS
        return [queue for level in range(1, bound) for queue in self._queues[level]], False

    def on_room(self, call: Callable[[], object]) -> None:
        """Have something called, from any thread, when there is room again for whoever asked and found none."""
        self._on_room = call
        self._slots.on_free = self._tell_room

    def close(self) -> None:
        """Ask no more."""
        self._is_closed = True

    @property
    def looks_again(self) -> bool:
        """Whether there is no room, but what is more urgent would be taken."""
        return not self._is_closed and not self._has_room() and (self._waiting_level() or 1) > 1

    def take(self, job: str, key: str, activities: int) -> None:
        """Note that a message was taken, by its job's id and its routing key."""
        if key not in self._places:
            return
        queue, level = self._places[key]
        self._coming[job] = (level, activities)
        self._look_at = 0.0
        if queue in self._queues[level]:
            self._queues[level].remove(queue)
            self._queues[level].append(queue)
        if self._is_due:
            self._taken = 0
            self._oldest = self._levels if self._oldest <= 2 else self._oldest - 1
        else:
            self._taken += 1

    def open(self, job: str) -> None:
        """Note that what is wanted of a message is known, or that nothing is. From any thread, any number of times."""
        if self._coming.pop(job, None) and self._slots.room > 0:
            self._tell_room()

    def _tell_room(self) -> None:
        if self._wants_room:
            self._wants_room = False
            self._on_room()

    @property
    def _is_due(self) -> bool:
        return self._taken + 1 >= self._interval

    def _order(self) -> Sequence[int]:
        levels = range(1, self._levels + 1)
        if not self._is_due:
            return levels
        return [self._oldest, *(level for level in reversed(levels) if level != self._oldest)]

    def _has_room(self) -> bool:
        coming = sum(activities for _, activities in list(self._coming.values()))
        return self._handled() < self._threads and self._slots.room > coming

    def _waiting_level(self) -> int | None:
        levels = [level for level, _ in list(self._coming.values())]
        if (expected := self._slots.expected_level()) is not None:
            levels.append(expected)
        return min(levels, default=None)
