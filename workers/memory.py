"""Ends a worker process that has grown too large, in order: nothing that it has in hand is lost."""

import logging
import os
import signal
import threading

import psutil

log = logging.getLogger("lemline.memory")

LOOK_SECONDS = 1.0


class MemoryGuard:
    """A thread that looks at the memory of this process and of its children.

    What runs when the limit is crossed ends first, as when the process is told to stop; whoever supervises it starts
    another one. Threads share one memory, so there is no smaller part that could be replaced.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._ended.wait(LOOK_SECONDS):
            used = resident_bytes(process)
            if used > self._limit_bytes:
                log.warning("memory.exceeded", extra={"bytes": used, "limit": self._limit_bytes})
                os.kill(os.getpid(), signal.SIGTERM)
                return


def resident_bytes(process: psutil.Process) -> int:
    """Return the resident memory of a process and of its children, as long as they live."""
    used = 0
    for each in (process, *process.children(recursive=True)):
        try:
            used += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return used
