"""Which process takes from a source: one at a time, so that the order of a broker is kept."""

import contextlib
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from django.db.models import F, Q

from workflows import models
from workflows.runtime.outages import OUTAGES

LEASE_SECONDS = 15.0
"""So long after the death of a process another one goes on."""


class Lease:
    """A claim on one bridge, as a row of the database; also what the bridge tells about itself.

    Args:
        name: Of the bridge.
        now: Database time.
    """

    look_seconds = 2.0
    """Between attempts to take what another one holds."""

    def __init__(self, name: str, holder: str, now: Callable[[], datetime], seconds: float = LEASE_SECONDS) -> None:
        self._name = name
        self._holder = holder[:300]
        self._now = now
        self._seconds = seconds
        self._id = uuid4()
        self._renewed_at = float("-inf")
        self._has_row = False
        self._received = self._rejected = 0
        self._problem: str | None = None

    def take(self) -> bool:
        """Return whether the bridge is this process's, from now on for the length of a lease."""
        if time.monotonic() - self._renewed_at < self._seconds / 3:
            return True
        self._renewed_at = float("-inf")
        now = self._now()
        is_free = Q(held_until=None) | Q(held_until__lt=now) | Q(held_by=self._id)
        until = now + timedelta(seconds=self._seconds)
        began_at = time.monotonic()
        if not self._has_row:
            models.Bridge.objects.get_or_create(name=self._name)
            self._has_row = True
        if not self._write(is_free, held_by=self._id, held_until=until, holder=self._holder):
            return False
        self._renewed_at = began_at
        return True

    def take_if_there(self) -> None:
        """Keep it, unless the database is away: then nobody else can take it either."""
        with contextlib.suppress(*OUTAGES):
            self.take()

    def give_back(self) -> None:
        """Let another process go on at once."""
        with contextlib.suppress(*OUTAGES):
            self._write(Q(held_by=self._id), held_until=None)

    def count(self, *, received: int, rejected: int) -> None:
        """Add to what the bridge's page shows, with the next renewal; a problem is over."""
        self._received += received
        self._rejected += rejected
        self._problem = ""

    def tell(self, problem: str) -> None:
        """Have the bridge's page show what is wrong."""
        self._problem = problem
        self._renewed_at = float("-inf")

    def _write(self, condition: Q, **values: object) -> bool:
        """Write to the row with what there is to tell, if the condition holds."""
        told: dict[str, object] = {} if self._problem is None else {"problem": self._problem[:2000]}
        received, rejected = self._received, self._rejected
        if received or rejected:
            told |= {"received": F("received") + received, "rejected": F("rejected") + rejected, "at": self._now()}
        row = models.Bridge.objects.filter(condition, name=self._name)
        is_written = row.update(**values, **told) > 0
        if is_written:
            self._received -= received
            self._rejected -= rejected
            self._problem = None
        return is_written
