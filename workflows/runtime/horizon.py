"""How far the history can be read without passing over a row that is still to come.

Ids are given out before their transactions commit: a row may become visible after one with a greater id. A reader that
goes on behind the greatest id it has seen would lose that row.
"""

from collections import deque

from django.db import connection

_LOOK = (
    "SELECT COALESCE((SELECT max(id) FROM workflows_history), 0), pg_snapshot_xmin(s)::text::bigint,"
    " pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() s"
)


class Horizon:
    """The settled part of the history: every row in it is there for good, and no other will come.

    A step has its transaction's number before it takes ids for its rows, since it locks or inserts first. So when all
    transactions that had begun at some look have ended, nothing is missing below the greatest id of that look.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[int, int]] = deque()
        """Greatest id, and the number that no transaction had yet, of looks that are not settled."""

        self._settled = 0

    def look(self) -> int:
        """Return the id up to which everything is settled."""
        greatest, oldest_open, next_number = _snapshot()
        if greatest > (self._looks[-1][0] if self._looks else self._settled):
            self._looks.append((greatest, next_number))
        while self._looks and self._looks[0][1] <= oldest_open:
            self._settled, _ = self._looks.popleft()
        return self._settled

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was seen is still to settle."""
        return not self._looks


def _snapshot() -> tuple[int, int, int]:
    """Return the greatest visible id, the oldest transaction that is open, and the next one's number."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_LOOK)
        else:
            # One writer at a time: ids are given out in the order of commits.
            cursor.execute("SELECT COALESCE(max(id), 0), 0, 0 FROM workflows_history")
        greatest, oldest_open, next_number = cursor.fetchone()
    return greatest, oldest_open, next_number
