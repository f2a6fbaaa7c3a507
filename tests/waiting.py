"""Waiting for what other processes do: for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 100.0
"""Far beyond any recovery, on a machine that does other things as well."""


def wait_until(
    condition: Callable[[], Any],
    seen: Callable[[], object] | str = "nothing",
    seconds: float = PATIENCE_SECONDS,
) -> Any:
    """Return the first true answer of a condition.

    Args:
        condition: Asked again and again.
        seen: What to say when it stays untrue: a text, or what gives one.
        seconds: How long to ask.

    Raises:
        AssertionError: There was none within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s; seen: {seen() if callable(seen) else seen}")
        time.sleep(0.01)
    return answer
