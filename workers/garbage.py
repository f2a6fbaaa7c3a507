"""Python's collector of cycles, told what a long-lived process is like."""

import gc
import logging
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from typing import NamedTuple

log = logging.getLogger("lemline.garbage")


class Mode(NamedTuple):
    """How to collect."""

    freezes: bool
    """Leave out of every later collection what is there now: modules and their like stay until the end."""

    thresholds: tuple[int, int, int] | None
    """As `gc.set_threshold` takes them; None for Python's own."""


# A step makes few cycles and many objects: at Python's own 700, looking for cycles was a tenth of a worker's time.
_FREEZE = Mode(True, (20_000, 20, 20))
_THROUGHPUT = Mode(True, (200_000, 50, 100))
_DEFAULT = Mode(False, None)

MODES: Mapping[str, Mode] = {
    "freeze": _FREEZE,
    "throughput": _THROUGHPUT,
    "default": _DEFAULT,
    "G1GC": _FREEZE,
    "ZGC": _FREEZE,
    "ParallelGC": _THROUGHPUT,
    "SerialGC": _DEFAULT,
}
"""By `lemline.jvm.gc.strategy`."""


def settle(strategy: str, longest_pause_millis: int | None = None) -> None:
    """Collect as a strategy says from now on, and log what takes longer than a pause may."""
    mode = MODES[strategy]
    gc.collect()
    if mode.freezes:
        gc.freeze()
    if mode.thresholds is not None:
        gc.set_threshold(*mode.thresholds)
    if longest_pause_millis is not None:
        _Pauses(longest_pause_millis / 1000).begin()


class _Pauses:
    """Called by the collector before and after each collection, which stops every thread but its own."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._begun_at = 0.0
        # The only thing that may be done wherever a collection happens to begin: whoever is interrupted there may hold
        # any lock, the log's among them.
        self._long: SimpleQueue[tuple[float, int]] = SimpleQueue()

    def begin(self) -> None:
        """Measure from now on."""
        threading.Thread(target=self._tell, name="garbage", daemon=True).start()
        gc.callbacks.append(self._notice)

    def _notice(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._begun_at = time.perf_counter()
            return
        seconds = time.perf_counter() - self._begun_at
        if seconds > self._longest_seconds:
            self._long.put((seconds, info["generation"]))

    def _tell(self) -> None:
        while True:
            seconds, generation = self._long.get()
            log.warning("gc.pause", extra={"milliseconds": round(seconds * 1000, 1), "generation": generation})
