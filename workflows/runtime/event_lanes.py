"""Lanes of events: one processor at a time works on what waits in a lane, in the order of acceptance.

On PostgreSQL a lane is a lock of the transaction, which ends with whoever holds it. SQLite's one process has one lock.
"""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from django.db import connection, transaction

from workflows.runtime.event_rows import LANES

SHARE = 8
"""Lanes that one transaction holds at most: others find some that are free."""

_LOCKS = 0x4C454D4C
"""What tells these locks from others of the database."""

_CLAIM = (
    "SELECT lane FROM unnest(%s) lane WHERE CASE WHEN"
    " EXISTS (SELECT 1 FROM workflows_pendingevent p WHERE p.lane = lane.lane)"
    " THEN pg_try_advisory_xact_lock(%s, lane.lane) ELSE false END LIMIT %s"
)
_PENDING = "SELECT DISTINCT lane FROM workflows_pendingevent ORDER BY lane"
_AWAIT = "SELECT pg_advisory_xact_lock(%s, lane) FROM unnest(%s) lane"

Order = Callable[[], Sequence[int]]
"""Gives the lanes that a process takes from, those that it prefers first."""


def any_order() -> Sequence[int]:
    """Begin anywhere: two who look at once take different ones."""
    first = random.randrange(LANES)
    return [(first + number) % LANES for number in range(LANES)]


class Lanes(Protocol):
    """Who may work on which lane."""

    def hold(self, order: Order) -> contextlib.AbstractContextManager[Sequence[int]]:
        """Hold some lanes in which events wait and which nobody holds, until the block and its transaction end."""
        ...

    def beside(self) -> contextlib.AbstractContextManager[None]:
        """Work on something else than a lane, by one transaction where that is possible."""
        ...

    def hold_pending(self) -> None:
        """In such a block: wait for those who hold a lane in which events wait now, and hold those lanes."""
        ...


class PostgresLanes:
    """Locks of the transaction that the block is."""

    @contextmanager
    def hold(self, order: Order) -> Iterator[Sequence[int]]:
        """Lock what is free."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_CLAIM, (list(order()), _LOCKS, SHARE))
            yield [lane for (lane,) in cursor.fetchall()]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Begin a transaction."""
        with transaction.atomic():
            yield

    def hold_pending(self) -> None:
        """Lock them in their order. Those who work on lanes never wait for a lock, so nobody waits in a circle."""
        with connection.cursor() as cursor:
            cursor.execute(_PENDING)
            pending = [lane for (lane,) in cursor.fetchall()]
            if pending:
                cursor.execute(_AWAIT, (_LOCKS, pending))


class LocalLanes:
    """One lock for all. No transaction is open in the block: the steps that it waits for need the only one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, order: Order) -> Iterator[Sequence[int]]:
        """Take all lanes in which events wait."""
        if not self._lock.acquire(blocking=False):
            yield ()
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute(_PENDING)
                yield [lane for (lane,) in cursor.fetchall()]
        finally:
            self._lock.release()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Take the lock, for all of it."""
        with self._lock:
            yield

    def hold_pending(self) -> None:
        """They are held."""


def make_lanes() -> Lanes:
    """Return the lanes of the default database."""
    return PostgresLanes() if connection.vendor == "postgresql" else LocalLanes()
