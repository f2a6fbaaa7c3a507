"""When instances start by themselves: schedules, what they have started, and events that are being gathered."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from workflows.models.definitions import Definition


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Questions about schedules."""

    def ticking(self) -> Self:
        """Those whose next start is a matter of time."""
        return self.filter(due_at__isnull=False, paused_at__isnull=True)

    def due(self, now: datetime) -> Self:
        """Those that have something to start now, the most overdue first."""
        return self.ticking().filter(due_at__lte=now).order_by("due_at")


class Schedule(models.Model):
    """What a workflow's highest version says about starts: one row per workflow, and the lock of all that it starts."""

    namespace = models.CharField(max_length=63)
    workflow = models.CharField(max_length=63)
    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="+")
    version = models.CharField(max_length=255)
    kind = models.CharField(max_length=5)
    """`every`, `cron`, `after` or `on`."""

    text = models.TextField()
    """What it says: the cron expression, the span, or the strategy; as JSON what is no text."""

    time_zone = models.CharField(max_length=255, default="")
    catch_up = models.CharField(max_length=4, default="")
    """`skip`, `once` or `all`; empty for what cannot miss a start."""

    anchor_at = models.DateTimeField()
    """Since when it says this; what `every` counts from."""

    due_at = models.DateTimeField(null=True)
    """The next start; null while it waits for an end or for events. Stands still while it is paused."""

    awaited = models.UUIDField(null=True)
    """The instance from whose end `after` counts."""

    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=150, default="")
    fired_at = models.DateTimeField(null=True)
    """When it last started something."""

    fires = models.BigIntegerField(default=0)
    """How often it did."""

    missed_at = models.DateTimeField(null=True)
    """The latest due time that its catch-up policy has left out."""

    created_at = models.DateTimeField()

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        """Only what ticks is in the index that timekeepers look at."""

        constraints = (models.UniqueConstraint(fields=("namespace", "workflow"), name="schedule_once"),)
        indexes = (
            models.Index(
                fields=("due_at",), condition=Q(due_at__isnull=False, paused_at__isnull=True), name="schedule_due"
            ),
            models.Index(fields=("awaited",), condition=Q(awaited__isnull=False), name="schedule_awaited"),
        )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.workflow} {self.kind}"


class Fire(models.Model):
    """One start by a schedule. Written with the instance that it started, once per cause."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="started", db_index=False)
    cause = models.CharField(max_length=100)
    """The due time, the request or the event that it happened for (`runtime/causes.py`)."""

    sort = models.CharField(max_length=8)
    """`due`, `backfill`, `trigger` or `event`."""

    due_at = models.DateTimeField(null=True)
    at = models.DateTimeField()
    instance = models.UUIDField()
    by = models.CharField(max_length=150, default="")

    class Meta:
        """Unique on what caused it: two who see the same thing due start it once."""

        constraints = (models.UniqueConstraint(fields=("schedule", "cause"), name="fire_once"),)
        indexes = (
            models.Index(fields=("schedule", "at", "id"), name="fire_listed"),
            models.Index(fields=("at",), name="fire_at"),
        )

    def __str__(self) -> str:
        return f"{self.cause} of schedule {self.schedule_id}"


class Gathering(models.Model):
    """Events that have come for a start by events that needs more of them. The row is locked while one is added."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="gatherings", db_index=False)
    key = models.CharField(max_length=64, default="")
    """Hash of the values by which its events belong together; empty where no such value is known."""

    state = models.BinaryField()
    """What the strategy remembers, with the events, as JSON."""

    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        """Open ones are found by schedule and key."""

        indexes = (
            models.Index(fields=("schedule", "key", "id"), name="gathering_open"),
            models.Index(fields=("changed_at",), name="gathering_changed"),
        )

    def __str__(self) -> str:
        return f"gathering {self.pk} of schedule {self.schedule_id}"


class HeardEvent(models.Model):
    """A CloudEvent that a schedule has taken, so that it takes it once, however often it is offered."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="+", db_index=False)
    event = models.CharField(max_length=64)
    """Hash of scope, source and id."""

    at = models.DateTimeField()

    class Meta:
        """Once."""

        constraints = (models.UniqueConstraint(fields=("schedule", "event"), name="heard_once"),)
        indexes = (models.Index(fields=("at",), name="heard_at"),)

    def __str__(self) -> str:
        return f"{self.event} by schedule {self.schedule_id}"
