"""Waiting for what other processes do: for a condition, never for a time."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 100.0
"""Far beyond any recovery, on a machine that does other things as well."""


def wait_until(
    condition: Callable[[], object], seen: Callable[[], object] = lambda: "nothing", seconds: float = PATIENCE_SECONDS
) -> None:
    """Return once a condition holds.

    Raises:
        AssertionError: It does not within so many seconds; the message has what was seen last.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s; seen: {seen()}")
        time.sleep(0.02)
