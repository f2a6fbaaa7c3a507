"""The event loop of a worker process: one thread on which everything that waits, waits."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from workers.slots import Slots


class Loop:
    """Runs coroutines, each in a slot.

    Args:
        slots: Room for activities, which loops and threads share.
        close: Runs last, to close what they kept open.
    """

    def __init__(self, slots: Slots, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._slots = slots
        self._close = close
        # The loop itself keeps weak references only: a task nobody holds may vanish while it waits.
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def start_all(self, works: list[Callable[[], Coroutine[Any, Any, None]]], level: int) -> None:
        """Begin coroutines of a priority level, from any thread, in slots that were announced. They must not raise."""
        self._loop.call_soon_threadsafe(self._start_each, works, level)

    def _start_each(self, works: list[Callable[[], Coroutine[Any, Any, None]]], level: int) -> None:
        for work in works:
            task = self._loop.create_task(self._run(work, level))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]], level: int) -> None:
        turn = asyncio.Event()
        if not self._slots.enter(level, lambda: self._post(turn.set)):
            await turn.wait()
        try:
            self._slots.begin(level)
            await work()
        finally:
            self._slots.leave()

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call something after a while, from any thread; return what prevents it."""
        handles: list[asyncio.TimerHandle] = []

        def forget() -> None:
            handles[0].cancel()

        self._loop.call_soon_threadsafe(lambda: handles.append(self._loop.call_later(seconds, call)))
        return lambda: self._post(forget)

    def _post(self, call: Callable[[], None]) -> None:
        # The loop may have ended by now, and everything on it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    def stop(self, seconds: float) -> None:
        """Wait for what runs, at most so long, and end the thread; what still runs then is dropped."""
        asyncio.run_coroutine_threadsafe(self._rest(seconds), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _rest(self, seconds: float) -> None:
        if self._tasks:
            _, deaf = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in deaf:
                task.cancel()
        await self._close()
