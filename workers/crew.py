"""Runs the functions of a batch on the job's thread, and helps where one of them takes long.

A batch is done in order by the thread that took the message, at no cost for quick functions. When one
takes longer than a moment, a helper thread goes on with the rest, so that it holds up no other.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from workers.slots import Slots

MOMENT_SECONDS = 0.02
"""How long a function may take before the rest of its batch is given to a helper."""

Work = Callable[[], None]


class _Batch:
    def __init__(self, works: Iterable[Work], level: int, slots: Slots) -> None:
        self.left = deque(works)
        self.since = time.monotonic()
        """When somebody last took one of them."""

        self._level = level
        self._slots = slots

    def run(self) -> None:
        """Run what is left of it in one slot, between two of them giving way to what is more urgent."""
        self._slots.wait(self._level)
        try:
            while True:
                self._slots.give_way(self._level)
                try:
                    work = self.left.popleft()
                except IndexError:
                    return
                self.since = time.monotonic()
                self._slots.begin(self._level)
                work()
        finally:
            self._slots.leave()


class Crew:
    """The threads of a worker process that run functions."""

    def __init__(self, limit: int, slots: Slots) -> None:
        self._slots = slots
        self._helpers = ThreadPoolExecutor(limit, thread_name_prefix="helper")
        self._free = threading.Semaphore(limit)
        """Helpers without work. None is asked for while all of them are busy, or without room for what it would run:
        requests would pile up."""

        self._batches: set[_Batch] = set()
        self._lock = threading.Lock()
        self._busy = threading.Event()
        threading.Thread(target=self._watch, name="crew", daemon=True).start()

    def run(self, works: list[Work], level: int) -> None:
        """Run them all, in a slot that was announced; returns when none is left to begin. They must not raise."""
        batch = _Batch(works, level, self._slots)
        if len(works) == 1:
            batch.run()
            return
        with self._lock:
            self._batches.add(batch)
            self._busy.set()
        try:
            batch.run()
        finally:
            with self._lock:
                self._batches.discard(batch)
                if not self._batches:
                    self._busy.clear()

    def _watch(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(MOMENT_SECONDS)
            with self._lock:
                slow = [
                    batch for batch in self._batches if batch.left and time.monotonic() - batch.since > MOMENT_SECONDS
                ]
            for batch in slow:
                batch.since = time.monotonic()
                if self._slots.room > 0 and self._free.acquire(blocking=False):
                    self._slots.announce(1)
                    self._helpers.submit(self._help, batch)

    def _help(self, batch: _Batch) -> None:
        try:
            batch.run()
        finally:
            self._free.release()
