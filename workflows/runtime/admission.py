"""May one more instance start? Asked by the doors of what is new, never of what runs: that could not end otherwise."""

import logging
import math
import threading
import time
from datetime import datetime
from typing import Protocol

from django.core.cache import cache

from workflows.models import Checkpoint
from workflows.runtime.errors import OverloadedError

log = logging.getLogger("lemline.admission")

LOOK_SECONDS = 1.0
"""How long what was counted is believed, as long as this process has not used up what was free then."""

SOONEST_SECONDS = 0.05
"""How long it is believed at least, however many ask."""

REOPENED_AT = 0.8
"""Once starts were refused, the share of the limit at which they are taken again: at the limit itself, each
instance that ends would let one in, and refuse the next.
"""

WINDOW_SECONDS = 1


class Limits(Protocol):
    """What is set (`lemline.messaging.back-pressure.*`)."""

    @property
    def enabled(self) -> bool: ...  # noqa: D102
    @property
    def max_outstanding_requests(self) -> int: ...  # noqa: D102
    @property
    def max_request_rate(self) -> int | None: ...  # noqa: D102


class Admission:
    """Refuses starts while too much is under way or too many come in.

    What is under way is counted in the database, hence across all nodes and whatever the broker: instances with an
    activity, a child or a further step open, queued or running. Those that wait for a time or an event do not count.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._looked_at = -math.inf
        self._free = 0
        self._is_shut = False

    def ask(self, now: datetime) -> None:
        """Let one more start, and count it.

        Args:
            now: Database time, which names the second that the rate counts in on every node.

        Raises:
            OverloadedError: Not now.
        """
        limits = self._limits
        if not limits.enabled:
            return
        if limits.max_request_rate is not None:
            self._count(now, limits.max_request_rate)
        with self._lock:
            self._look()
            if self._is_shut or self._free <= 0:
                raise OverloadedError(
                    f"{limits.max_outstanding_requests} instances or more are being worked on; nothing was started "
                    "(lemline.messaging.back-pressure.max-outstanding-requests)"
                )
            self._free -= 1

    def _count(self, now: datetime, most: int) -> None:
        """Take one of this second's starts, from the cache that all nodes share."""
        name = f"starts:{int(now.timestamp()) // WINDOW_SECONDS}"
        try:
            cache.add(name, 0, 2 * WINDOW_SECONDS)
            taken = cache.incr(name)
        except Exception as error:  # noqa: BLE001  (without its cache, a cluster starts what it is asked to)
            log.warning("cache.away", extra={"error": str(error)})
            return
        if taken > most:
            raise OverloadedError(
                f"more than {most} starts in a second; nothing was started "
                "(lemline.messaging.back-pressure.max-request-rate)"
            )

    def _look(self) -> None:
        age = time.monotonic() - self._looked_at
        if age < SOONEST_SECONDS or (age < LOOK_SECONDS and self._free > 0 and not self._is_shut):
            return
        most = self._limits.max_outstanding_requests
        # No further than the limit: past it, how far does not matter.
        outstanding = Checkpoint.objects.filter(has_open_work=True)[: most + 1].count()
        self._looked_at = time.monotonic()
        self._free = most - outstanding
        was_shut = self._is_shut
        self._is_shut = self._free <= 0 or (was_shut and outstanding > most * REOPENED_AT)
        if self._is_shut != was_shut:
            log.warning(
                "starts.refused" if self._is_shut else "starts.taken",
                extra={"outstanding": outstanding, "limit": most},
            )
