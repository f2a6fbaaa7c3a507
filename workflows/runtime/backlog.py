"""How many events wait to be offered: above a limit, no more are accepted."""

import math
import threading
import time

from workflows.models import PendingEvent
from workflows.runtime.errors import OverloadedError

LOOK_SECONDS = 0.1
"""How long a count is believed. What was accepted here since then is added to it."""


class Backlog:
    """Refuses events while too many wait. Those that instances emit are never asked about: a step could not end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._looked_at = -math.inf
        self._waiting = 0

    def ask(self, count: int) -> None:
        """Let so many events in, and count them. The last ones to be let in may exceed the limit.

        Raises:
            OverloadedError: Not now.
        """
        with self._lock:
            if time.monotonic() - self._looked_at > LOOK_SECONDS or self._waiting >= self._most:
                # No further than the limit: past it, how far does not matter.
                self._waiting = PendingEvent.objects.all()[: self._most].count()
                self._looked_at = time.monotonic()
            if self._waiting >= self._most:
                raise OverloadedError(
                    f"{self._most} events or more wait to be offered to listeners; none of these was accepted "
                    "(lemline.event-processor.max-events)"
                )
            self._waiting += count
