"""Which lanes a process takes from, where each lane belongs to one (`lemline.events.consumer-strategy=PARTITIONED`).

Every process computes the same from who was heard of within a lease. While they disagree for a moment, the lanes' locks
keep two from working on one.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from uuid import UUID

from workflows import models
from workflows.runtime.cluster import Presence
from workflows.runtime.event_rows import LANES

LOOK_SECONDS = 1.0
"""How long a process goes on with the share that it has."""

ROLE = "events"


def owner(lane: int, processes: Iterable[UUID]) -> UUID:
    """Return the process that a lane belongs to. One that comes or goes moves no lane but its own."""
    return max(processes, key=lambda each: hashlib.blake2b(b"%d" % lane + each.bytes, digest_size=8).digest())


class LaneShares:
    """The lanes of this process."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._looked_at = float("-inf")
        self._lanes: Sequence[int] = ()

    def __call__(self) -> Sequence[int]:
        """Return them, as of a moment ago."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            seen = models.Node.objects.filter(seen_at__gte=self._presence.horizon(), roles__contains=ROLE)
            living = {self._presence.id, *seen.values_list("id", flat=True)}
            self._lanes = [lane for lane in range(LANES) if owner(lane, living) == self._presence.id]
            self._looked_at = now
        return self._lanes
