"""Cron expressions: a text and a time zone to the moments that they name.

Five fields, or six with the seconds first; names (`MON`, `JAN`), lists, ranges, steps, `L`, `LW`, `5L` and `1#2`; and
`@hourly` to `@yearly`. A text may bring its time zone along: `CRON_TZ=Europe/Berlin 0 9 * * *`.

When clocks are set, one rule holds for five fields and for six. A time of the day that says its hour and its minute
happens once per day: one that is skipped happens at the end of the gap, one that comes twice happens the first time.
Where the minute or the hour is `*` or a step of it, what is meant is a rhythm: it follows the clock on the wall, which
skips an hour and shows another twice.
"""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

MOST_CHARACTERS = 500

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_ZONED = re.compile(r"(?:CRON_TZ|TZ)=(\S+)\s+(.+)", re.DOTALL)
_SHIFT = timedelta(hours=3)
"""No clock was ever set by more at once, but for islands that changed the side of the date line."""

_SPANS = tuple(timedelta(days=days) for days in (1 / 24, 1, 32, 370, 3000, 18300))
"""How far back a rhythm is looked for, further only where it did not happen: its seconds are not walked for days."""

_SOME_DAY = datetime(2026, 1, 1)  # noqa: DTZ001  (on no clock in particular)


@dataclass(frozen=True)
class Cron:
    """When something happens, again and again."""

    fields: str
    """Five or six, separated by single spaces."""

    zone: str
    """IANA name of the time zone whose clock is meant."""

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, UTC; None when there is none within fifty years."""
        return next(self._times(moment), None)

    def before(self, moment: datetime) -> datetime | None:
        """Return the last time at or before a moment, UTC; None when there was none within fifty years."""
        if not self._is_rhythm:
            return next(self._times_of_day(moment, is_reverse=True), None)
        until = moment + timedelta(microseconds=1)
        for span in _SPANS:
            found = deque(takewhile(lambda time: time < until, self._rhythm(moment - span)), maxlen=1)
            if found:
                return found[0]
        return None

    def between(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        """Return the times from a moment, itself included, to before another; those after the first `most` are left
        out.
        """
        times = self._times(start - timedelta(microseconds=1))
        return list(islice(takewhile(lambda time: time < end, times), most))

    @property
    def _is_rhythm(self) -> bool:
        minute, hour = self.fields.split()[-5:-3]
        return minute.startswith("*") or hour.startswith("*")

    def _times(self, moment: datetime) -> Iterator[datetime]:
        return self._rhythm(moment) if self._is_rhythm else self._times_of_day(moment, is_reverse=False)

    def _rhythm(self, moment: datetime) -> Iterator[datetime]:
        """Walk along the clock as it is set, and from the moment at which it is set anew along the other one."""
        zone, last = _zone(self.zone), moment.astimezone(UTC)
        begin: datetime | None = last
        while begin is not None:
            offset, local = _offset(last, zone), begin + _offset(last, zone)
            begin = None
            for found in CronSim(self.fields, local.replace(tzinfo=None)):
                time = found.replace(tzinfo=UTC) - offset
                change = _first_change(zone, offset, last, time)
                if change is not None:
                    # What the clock shows when it has just been set counts as well.
                    last, begin = change, change - timedelta(microseconds=1)
                    break
                last = time
                yield time

    def _times_of_day(self, moment: datetime, is_reverse: bool) -> Iterator[datetime]:
        """Walk along a clock that is never set, and say for each time when the real one shows it."""
        zone, last = _zone(self.zone), None
        local = moment.astimezone(zone).replace(tzinfo=None)
        for found in CronSim(self.fields, local + _SHIFT if is_reverse else local, reverse=is_reverse):
            time = _shown(found, zone)
            if time != last and (time <= moment if is_reverse else time > moment):
                last = time
                yield time


def parse_cron(text: str, zone: str = "UTC") -> Cron:
    """Return what a text says.

    Args:
        text: See above.
        zone: Of texts that bring none along.

    Raises:
        ValueError: It cannot be read, names no time zone that is known, or never happens; the message says which field.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"a cron expression has at most {MOST_CHARACTERS} characters")
    zoned = _ZONED.fullmatch(text.strip())
    named, body = (zoned[1], zoned[2]) if zoned else (zone, text)
    check_zone(named)
    fields = " ".join(NICKNAMES.get(body.strip().lower(), body).split())
    found = Cron(fields, named)
    try:
        # Fifty years on a clock that is never set: in a zone of its own it is the same, but slower to find out.
        first = next(CronSim(fields, _SOME_DAY), None)
    except CronSimError as error:
        raise ValueError(f"{text[:80]!r} is no cron expression: {_explained(str(error), fields)}") from error
    if first is None:
        raise ValueError(f"{text[:80]!r} never happens: no day of the next fifty years is one of its days")
    return found


def check_zone(name: str) -> None:
    """Raise ValueError unless a time zone of this name is known."""
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name[:80]!r} is no time zone; write one such as Europe/Berlin or UTC") from error


_PLACES = ("minute", "hour", "day of the month", "month", "day of the week")


def _explained(error: str, fields: str) -> str:
    count = len(fields.split())
    if count not in (5, 6):
        return f"it has {count} fields, not five ({', '.join(_PLACES)}) or six (the second before them)"
    field = (
        error.removeprefix("Bad ").replace("day-of-month", "day of the month").replace("day-of-week", "day of the week")
    )
    return (
        f"the {field} cannot be read, or no month has such a day"
        if field == _PLACES[2]
        else f"the {field} cannot be read"
    )


@cache
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _first_change(zone: tzinfo, offset: timedelta, start: datetime, end: datetime) -> datetime | None:
    """Return when a clock that shows this offset is set to another one, after a moment and not after another.

    One that is set back again in between is overlooked, unless that is close to the ends: nothing that lies in between
    on the one clock does so on the other.
    """
    for probe in (start + _SHIFT, end - _SHIFT, end) if end - start > _SHIFT else (end,):
        if _offset(probe, zone) != offset:
            seconds = range(round((probe - start).total_seconds()) + 1)
            place = bisect_left(seconds, True, key=lambda n: _offset(start + timedelta(seconds=n), zone) != offset)
            return start.replace(microsecond=0) + timedelta(seconds=place)
    return None


def _shown(local: datetime, zone: tzinfo) -> datetime:
    """Return when a clock first shows a time; for one that it skips, the end of the gap."""
    time = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if time.astimezone(zone).replace(tzinfo=None) == local:
        return time
    # Read by the offset before the gap a skipped time lies after its end; read by the other one, before it.
    earlier = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    seconds = range(round((time - earlier).total_seconds()))
    offset = time.astimezone(zone).utcoffset()
    return earlier + timedelta(
        seconds=bisect_left(
            seconds,
            True,
            key=lambda second: (earlier + timedelta(seconds=second)).astimezone(zone).utcoffset() == offset,
        )
    )
