"""Room for activities in a worker process, given to the most urgent of those that wait in it.

A message holds up to `max_batch` activities, so a process may have taken more than it can run. What waits for
room must not be in the way of what is more urgent and came later.
"""

import threading
from collections import deque
from collections.abc import Callable
from itertools import count

Go = Callable[[], object]
"""Tells whoever waits that there is room now. Called without a lock; must not block."""


class Slots:
    """So many activities at the same time, in the order of their levels.

    Args:
        size: How many.
        levels: Number of priority levels; 1 is the most urgent.
        aging_interval: One of so many activities that begin is the one that has waited longest.
    """

    def __init__(self, size: int, levels: int, aging_interval: int) -> None:
        self.free = size
        """Slots that nobody has."""

        self.on_free: Go = _nothing
        """Called when there is room again and nobody waits for it."""

        self._interval = aging_interval
        self._begun = 0
        """Activities that began since the oldest was let in."""

        self._lines: list[deque[tuple[int, Go]]] = [deque() for _ in range(levels + 1)]
        self._waiting = 0
        self._announced = 0
        self._order = count()
        self._expected = [0] * (levels + 1)
        self._lock = threading.Lock()

    def expect(self, level: int, activities: int) -> None:
        """Note that this process has taken so many that have not begun; a negative number takes some back."""
        with self._lock:
            self._expected[level] += activities

    def announce(self, slots: int) -> None:
        """Note that so many will be entered in a moment."""
        with self._lock:
            self._announced += slots

    @property
    def room(self) -> int:
        """How many more activities could begin now."""
        return self.free - self._announced

    def expected_level(self) -> int | None:
        """Return the most urgent level of which something has not begun; None when there is nothing."""
        return next((level for level, activities in enumerate(self._expected) if activities > 0), None)

    def enter(self, level: int, go: Go) -> bool:
        """Take a slot that was announced. False when there is none: `go` is called once it is the caller's."""
        with self._lock:
            self._announced -= 1
            if self.free:
                self.free -= 1
                return True
            self._lines[level].append((next(self._order), go))
            self._waiting += 1
            return False

    def leave(self) -> None:
        """Give a slot to whoever is next."""
        with self._lock:
            go = self._next()
        go()

    def begin(self, level: int) -> None:
        """Note that an activity begins in a slot that the caller has."""
        with self._lock:
            self._expected[level] -= 1
            self._begun += 1

    def wait(self, level: int) -> None:
        """Take a slot that was announced, waiting for it on this thread."""
        turn = threading.Event()
        if not self.enter(level, turn.set):
            turn.wait()

    def give_way(self, level: int) -> None:
        """Let others in between two activities of one thread, if it is their turn before this level's."""
        if self._waiting and (self._begun >= self._interval or any(self._lines[:level])):
            turn = threading.Event()
            with self._lock:
                self._lines[level].append((next(self._order), turn.set))
                self._waiting += 1
                go = self._next()
            go()
            turn.wait()

    def _next(self) -> Go:
        """Return what tells the next in line; the slot is its own from here on."""
        if not self._waiting:
            self.free += 1
            self._begun = 0
            return self.on_free
        lines = [line for line in self._lines if line]
        line = lines[0]
        if self._begun >= self._interval:
            self._begun = 0
            line = min(lines, key=lambda each: each[0][0])
        self._waiting -= 1
        return line.popleft()[1]


def _nothing() -> None:
    """Nobody wants to know."""
