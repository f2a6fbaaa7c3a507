"""The one clock: database time, kept between looks by an offset to this process's monotonic clock."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseClock:
    """Tells the database's time without asking it. Each transaction that reads the time sets it right.

    A worker's wall clock counts only until the first look, so one that jumps moves nothing.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> datetime:
        """Return the present database time, aware, UTC."""
        return _EPOCH + timedelta(seconds=time.monotonic() + self._offset)

    def set(self, moment: datetime) -> None:
        """Take over what the database just said."""
        self._offset = (moment - _EPOCH).total_seconds() - time.monotonic()
