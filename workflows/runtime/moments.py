"""When starts by time are due: a grid or a calendar, and what is made of due times that were missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol

from workflows.dsl.cron import parse_cron
from workflows.dsl.duration import parse_duration
from workflows.dsl.jsontext import decode

_INSTANT = timedelta(microseconds=1)


class Times(Protocol):
    """Due times, in their order. All are aware, UTC."""

    def after(self, moment: datetime) -> datetime | None:
        """Return the first one after a moment; None when there is none."""
        ...

    def before(self, moment: datetime) -> datetime | None:
        """Return the last one at or before a moment; None when there was none."""
        ...

    def between(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        """Return those from a moment, itself included, to before another: the first `most` of them."""
        ...


@dataclass(frozen=True)
class Every:
    """A grid of equal spans: it does not drift, however late a start is."""

    span: timedelta
    anchor: datetime
    """A point of the grid. Due times are those after it; a backfill may want earlier ones."""

    def after(self, moment: datetime) -> datetime:
        """Return the next point."""
        return self.anchor + ((moment - self.anchor) // self.span + 1) * self.span

    def before(self, moment: datetime) -> datetime:
        """Return the point at hand."""
        return self.anchor + (moment - self.anchor) // self.span * self.span

    def between(self, start: datetime, end: datetime, most: int) -> list[datetime]:
        """Return the points of a window."""
        first = self.after(start - _INSTANT)
        count = max(0, -((first - end) // self.span))
        return [first + number * self.span for number in range(min(count, most))]


def times_of(kind: str, text: str, zone: str, anchor: datetime) -> Times | None:
    """Return the due times of a schedule; None for what is no matter of a clock (`after` and `on`)."""
    match kind:
        case "every":
            return Every(span_of(text), anchor)
        case "cron":
            return _cron(text, zone)
        case _:
            return None


def span_of(text: str) -> timedelta:
    """Return the span that a schedule says: ISO 8601, or an object as JSON."""
    return parse_duration(decode(text.encode()) if text.startswith("{") else text)


_cron = lru_cache(4096)(parse_cron)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a look at a schedule comes to."""

    starts: Sequence[datetime]
    """Due times to start something for now, in their order."""

    next_at: datetime | None
    """The due time after those; one that has come already when `starts` had no room for it."""

    missed_at: datetime | None = None
    """The last due time that is left out; None when none is."""


def plan(times: Times, due_at: datetime, now: datetime, *, catch_up: str, missed_after: timedelta, most: int) -> Plan:
    """Return what is to be started of what is due.

    Args:
        times: All due times.
        due_at: The first of them that nothing was started for.
        now: When this is.
        catch_up: What to do about the missed ones: `skip`, `once` (for the last of them) or `all`.
        missed_after: How late one may be without being missed.
        most: Starts at most.
    """
    since = max(due_at, now - missed_after)
    missed = times.before(since - _INSTANT) if due_at < since else None
    if catch_up == "all" or missed is None:
        return _from(times, due_at, now, most)
    if catch_up == "skip":
        rest = _from(times, since, now, most)
        return Plan(starts=rest.starts, next_at=rest.next_at, missed_at=missed)
    rest = _from(times, since, now, most - 1)
    left_out = times.before(missed - _INSTANT) if missed > due_at else None
    return Plan(starts=[missed, *rest.starts], next_at=rest.next_at, missed_at=left_out)


def _from(times: Times, start: datetime, now: datetime, most: int) -> Plan:
    starts = times.between(start, now + _INSTANT, most)
    return Plan(starts=starts, next_at=times.after(starts[-1] if starts else start - _INSTANT))
