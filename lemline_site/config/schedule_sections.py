"""What can be set about schedules: a frozen dataclass per key family, as in `sections.py`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Schedules:
    """Starts by time and by events."""

    time_zone: str = "UTC"
    """Time zone of cron expressions that name none, neither in their text nor in `metadata.schedule.timeZone`. Counts
    when a definition is registered."""

    catch_up: Literal["skip", "once", "all"] = "once"
    """What to do about starts that were missed, where `metadata.schedule.catchUp` says nothing: `skip` them, make up
    for them `once`, by one start for the latest of them, or for `all`, each by a start of its own. Counts when a
    definition is registered."""

    missed_after: timedelta = timedelta(minutes=1)
    """How late a start may be and still be made as if it were on time. What is later counts as missed."""

    retention: timedelta = timedelta(days=30)
    """How long is remembered what was started for which time. A backfill of a window in it starts nothing twice."""

    gathering_retention: timedelta = timedelta(days=30)
    """How long events that were gathered for a start wait for those that are missing, since the last of them came."""

    backfill_limit: int = 1000
    """Starts of one backfill at most."""

    mirror: bool = True
    """Show schedules among the periodic tasks of django-celery-beat's admin."""
