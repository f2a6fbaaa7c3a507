"""When everything that a fault disturbed has moved on."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import DatabaseError, connection

from workflows import models

Answer = TypeVar("Answer")


def asked(question: Callable[[], Answer]) -> Answer | None:
    """Return what the database answers; None while it is away."""
    try:
        return question()
    except DatabaseError:
        connection.close()
        return None


def open_steps() -> dict[str, int] | None:
    """Return the step number of every instance that has not ended; None while the database is away."""
    rows = models.Checkpoint.objects.filter(parked=False)
    return asked(lambda: {str(instance): step for instance, step in rows.values_list("instance", "step")})


@dataclass
class Recovery:
    """What was open when a fault struck, until each of it has taken a step more or ended."""

    waiting: dict[str, int]
    """Instance to its step of then."""

    patience_looks: int
    """How often the sweeper may look at one of them before it counts as given up: three times a lease it looks."""

    since: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    """How long it took."""

    looks: dict[str, set[datetime]] = field(default_factory=lambda: defaultdict(set))

    def is_over(self) -> bool:
        """Look again, after a moment."""
        if self.waiting:
            threading.Event().wait(0.05)
            found = asked(self._look)
            self.waiting = self.waiting if found is None else found
            self.seconds = time.monotonic() - self.since
        return not self.waiting or self.is_given_up()

    def is_given_up(self) -> bool:
        """Return whether the sweeper has passed something over too often."""
        return any(len(self.looks[instance]) > self.patience_looks for instance in self.waiting)

    def _look(self) -> dict[str, int]:
        rows = models.Checkpoint.objects.filter(instance__in=list(self.waiting), parked=False)
        left = {}
        for instance, step, look_at in rows.values_list("instance", "step", "leased_until"):
            name = str(instance)
            if step <= self.waiting[name]:
                left[name] = self.waiting[name]
                if look_at is not None:
                    self.looks[name].add(look_at)
        return left
