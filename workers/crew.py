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


class Batch:
    """Functions of one message: those that came with it, and those that follow from them."""

    def __init__(self, works: Iterable[Work], level: int, slots: Slots) -> None:
        self.left = deque(works)
        self.since = time.monotonic()
        """When somebody last took one of them."""

        self.is_run = False
        """Whether the message's thread runs some of them."""

        self._changed = threading.Condition()
        self._is_over = False
        self._level = level
        self._slots = slots

    def add(self, work: Work) -> None:
        """Have one more run."""
        with self._changed:
            self.left.append(work)
            self._changed.notify()

    def end(self) -> None:
        """Nothing more will be added."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def wait_for_more(self) -> bool:
        """Return whether there is something to run, once that is known."""
        with self._changed:
            while not self.left and not self._is_over:
                self._changed.wait()
            return bool(self.left)

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

        self._batches: set[Batch] = set()
        self._lock = threading.Lock()
        self._busy = threading.Event()
        threading.Thread(target=self._watch, name="crew", daemon=True).start()

    def batch(self, works: list[Work], level: int) -> Batch:
        """Return them as what `run` takes. They must not raise."""
        return Batch(works, level, self._slots)

    def run(self, batch: Batch) -> None:
        """Run them all, in a slot that was announced; returns when none is left to begin."""
        with self._lock:
            batch.is_run = True
            if len(batch.left) > 1:
                self._look_at(batch)
        try:
            batch.run()
        finally:
            with self._lock:
                batch.is_run = False
                if batch in self._batches:
                    self._batches.remove(batch)
                    if not self._batches:
                        self._busy.clear()

    def add(self, batch: Batch, work: Work) -> None:
        """Have one more run: by the message's thread, or by a helper where that one takes long."""
        batch.add(work)
        if batch.is_run:
            with self._lock:
                if batch.is_run:
                    self._look_at(batch)

    def _look_at(self, batch: Batch) -> None:
        self._batches.add(batch)
        self._busy.set()

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

    def _help(self, batch: Batch) -> None:
        try:
            batch.run()
        finally:
            self._free.release()
