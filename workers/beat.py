"""Schedules as django-celery-beat's admin shows them: a mirror, in which nothing can be set.

A mirrored row names the job `lemline.look`, which has a worker start what is due. Nothing depends on it: what is due
stands in our own table, and is started once, whoever looks and however many beats ring. Our scheduler leaves the
mirrored rows out, so that ten thousand of them cost a beat nothing.
"""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery.schedules import ParseException, crontab
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from workflows.dsl.cron import parse_cron
from workflows.runtime.moments import span_of

if TYPE_CHECKING:
    from workflows.models import Schedule

JOB = "lemline.look"

_UNITS = (
    (timedelta(days=1), IntervalSchedule.DAYS),
    (timedelta(hours=1), IntervalSchedule.HOURS),
    (timedelta(minutes=1), IntervalSchedule.MINUTES),
    (timedelta(seconds=1), IntervalSchedule.SECONDS),
    (timedelta(microseconds=1), IntervalSchedule.MICROSECONDS),
)
_MOST = 2**31 - 1
"""What the column of an interval holds."""

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # has no types
    """A beat for everybody else's periodic tasks: those of schedules are looked after by timekeepers."""

    def enabled_models_qs(self) -> Any:
        """Leave out what is a mirror."""
        return super().enabled_models_qs().exclude(task=JOB)


def reflect(row: "Schedule", *, is_gone: bool) -> None:
    """Show a schedule as it is now; or nothing any more. Part of the caller's transaction."""
    name = f"lemline: {row.namespace}/{row.workflow}"
    if is_gone or row.kind == "on":
        PeriodicTask.objects.filter(name=name).delete()
        return
    how = {"crontab": _crontab(row)} if row.kind == "cron" else {"interval": _interval(row)}
    shown = {
        "interval": None,
        "crontab": None,
        **how,
        "task": JOB,
        "kwargs": json.dumps({"schedule": row.pk}),
        "enabled": row.paused_at is None,
        "description": f"{row.kind}: {row.text}\nA mirror of schedule {row.pk} of {row.namespace}/{row.workflow}:"
        f"{row.version}. What is changed here changes nothing; pause and trigger it under Schedules.",
    }
    PeriodicTask.objects.update_or_create(name=name, defaults=shown)


def _interval(row: "Schedule") -> IntervalSchedule:
    span = span_of(row.text)
    unit, period = next((unit, period) for unit, period in _UNITS if not span % unit)
    return _one(IntervalSchedule, every=min(span // unit, _MOST), period=period)


def _crontab(row: "Schedule") -> CrontabSchedule:
    """Return the fields that Celery knows: it has no seconds, no `L` and no `#`, for which `*` stands."""
    cron = parse_cron(row.text, row.time_zone)
    fields = dict(zip(_FIELDS, cron.fields.lower().split()[-5:], strict=True))
    known = {name: text if _is_known(name, text) else "*" for name, text in fields.items()}
    return _one(CrontabSchedule, **known, timezone=cron.zone)


def _is_known(field: str, text: str) -> bool:
    try:
        crontab(**{field: text})
    except (ParseException, ValueError):
        return False
    return True


def _one(kind: Any, **values: Any) -> Any:
    """Return a row with these values; nothing keeps others from having made several."""
    return kind.objects.filter(**values).first() or kind.objects.create(**values)
