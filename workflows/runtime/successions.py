"""Starts that count from the end of the one before (`after`)."""

from django.db.models import Exists, OuterRef

from workflows import models
from workflows.runtime.moments import span_of


def run_ended(instance: str) -> None:
    """Have the start be due that counts from the end of this instance, if one does."""
    _count_from_ends(models.Schedule.objects.filter(awaited=instance))


def look_for_ends() -> None:
    """Do so for all that have ended: the word of an end may have been lost with the process that was to bring it."""
    is_open = Exists(models.Instance.objects.filter(pk=OuterRef("awaited"), ended_at__isnull=True))
    _count_from_ends(models.Schedule.objects.filter(~is_open, awaited__isnull=False))


def _count_from_ends(rows: models.ScheduleQuerySet) -> None:
    waiting = {row.awaited: row for row in rows if row.awaited is not None}
    ends = dict(models.Instance.objects.filter(pk__in=waiting).values_list("pk", "ended_at"))
    for awaited, row in waiting.items():
        # One that retention has removed ended long ago.
        ended_at = ends.get(awaited, row.fired_at)
        if ended_at is not None:
            still = models.Schedule.objects.filter(pk=row.pk, awaited=awaited, text=row.text)
            still.update(awaited=None, due_at=ended_at + span_of(row.text))
