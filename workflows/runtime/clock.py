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
        self._offset = _offset(moment)


class ClockWatch:
    """Notices when somebody sets the database's clock: it then goes otherwise than this process's monotonic one.

    Args:
        tolerance: A smaller difference is an answer that was slow.
    """

    def __init__(self, tolerance: timedelta) -> None:
        self._tolerance = tolerance
        self._offset: float | None = None

    def moved(self, moment: datetime) -> timedelta:
        """Return by how much it was set since the last moment that was shown; nothing, as a rule."""
        before, self._offset = self._offset, _offset(moment)
        by = timedelta(seconds=self._offset - (self._offset if before is None else before))
        return by if abs(by) > self._tolerance else timedelta()


def _offset(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds() - time.monotonic()
