"""When a worker process goes on with an instance itself instead of having a pool rung: within a slice, so that others
get their turn, and only while nothing more urgent waits.
"""

import time

from lemline_site.config.sections import Execution
from workers.dispatcher import pool_of
from workers.errand import Errand
from workers.pools import ACTIVITY_POOLS
from workers.slots import Slots
from workflows.runtime.ports import Delivery


class Continuation:
    """The rules.

    Args:
        roles: What this process was started for, with commas in between.
        slots: Know what this process has taken and not begun. It takes whatever is more urgent than all of that as soon
            as it comes, so nothing more urgent waits elsewhere than here.
    """

    def __init__(self, config: Execution, roles: str, slots: Slots) -> None:
        self._seconds = {
            role: getattr(config.slice, role).total_seconds() for role in roles.split(",") if role in ACTIVITY_POOLS
        }
        self._tasks = config.slice.tasks
        self._slots = slots
        self.is_on = config.continuation == "auto" and bool(self._seconds)

    def allows(self, errand: Errand, delivery: Delivery) -> bool:
        """Return whether what an errand's outcome makes ready may be run here."""
        command = delivery.command
        seconds = self._seconds.get(pool_of(command))
        if seconds is None or command.suspect or errand.turn + 1 >= self._tasks:
            return False
        if time.monotonic() - errand.bundle.read_at > seconds:
            return False
        waiting = self._slots.expected_level()
        return waiting is None or waiting >= delivery.priority
