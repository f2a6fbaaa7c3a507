"""Executions: what people look for, what the engine needs, and what was."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from workflows.models.definitions import Definition

OPEN_STATUSES = ("pending", "running", "waiting", "suspended")
FINAL_STATUSES = ("completed", "faulted", "cancelled")


class InstanceQuerySet(models.QuerySet["Instance"]):
    """Questions about instances."""

    def open(self) -> Self:
        """Those that have not ended."""
        return self.filter(status__in=OPEN_STATUSES)

    def given_up(self) -> Self:
        """Dead letters."""
        return self.filter(given_up=True)

    def labelled(self, key: str, value: str) -> Self:
        """Those with a label."""
        return self.filter(pk__in=Label.objects.filter(key=key, value=value).values("instance"))


class Instance(models.Model):
    """What people look for about one execution. Written when it starts and when its phase changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    """UUIDv7, or what the caller chose."""

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="instances", db_index=False)
    namespace = models.CharField(max_length=63)
    workflow = models.CharField(max_length=63)
    version = models.CharField(max_length=255)
    status = models.CharField(max_length=9, default="pending")
    priority = models.SmallIntegerField(default=3)
    labels = models.JSONField(default=dict)
    input = models.BinaryField()
    """JSON text of the raw input, UTF-8; what the checkpoint leaves out."""

    output = models.BinaryField(null=True)
    context = models.BinaryField(null=True)
    problem = models.BinaryField(null=True)
    problem_type = models.CharField(max_length=255, blank=True, default="")
    parent = models.UUIDField(null=True)
    parent_wait = models.CharField(max_length=32, blank=True, default="")
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001  (null is not in the unique index)
    request_digest = models.CharField(max_length=64, blank=True, default="")
    """SHA-256 of the request that brought the key, to tell a repetition from a mistake."""

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    given_up = models.BooleanField(db_default=False, default=False)
    """Whether it is a dead letter: the runtime ended it, no fault of the workflow's own. Until it is taken up again."""

    objects = InstanceQuerySet.as_manager()

    class Meta:
        """Partial indexes follow what is open; ended rows cost the hot path nothing."""

        constraints = (
            models.UniqueConstraint(
                fields=("namespace", "workflow", "idempotency_key"),
                condition=Q(idempotency_key__isnull=False),
                name="instance_idempotency",
            ),
        )
        indexes = (
            models.Index(fields=("definition",), condition=Q(status__in=OPEN_STATUSES), name="instance_open"),
            models.Index(fields=("parent",), condition=Q(parent__isnull=False), name="instance_parent"),
            models.Index(fields=("ended_at", "id"), condition=Q(ended_at__isnull=False), name="instance_ended"),
            # Lists, newest first. Ascending all the same: rows arrive at the right edge, where pages fill up.
            models.Index(fields=("created_at", "id"), name="instance_created"),
            models.Index(fields=("namespace", "created_at", "id"), name="instance_namespace"),
            models.Index(fields=("namespace", "workflow", "created_at", "id"), name="instance_workflow"),
            models.Index(
                fields=("status", "created_at", "id"), condition=~Q(status="completed"), name="instance_status"
            ),
            models.Index(fields=("created_at", "id"), condition=~Q(problem_type=""), name="instance_problem"),
            models.Index(fields=("-ended_at", "-id"), condition=Q(given_up=True), name="instance_given_up"),
        )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.workflow}:{self.version} {self.id}"


class Label(models.Model):
    """A label of an instance, for finding it. Written with the instance, which keeps them too, and gone with it."""

    pk = models.CompositePrimaryKey("instance", "key")
    instance = models.UUIDField()
    key = models.CharField(max_length=63)
    value = models.CharField(max_length=255)
    created_at = models.DateTimeField()
    """The instance's."""

    class Meta:
        """In the order of lists."""

        indexes = (models.Index(fields=("key", "value", "created_at", "instance"), name="label_created"),)

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class DeadLetter(Instance):
    """An instance that was given up, on a page of its own."""

    class Meta:
        """As people call them."""

        proxy = True
        verbose_name = "dead letter"


class Approval(Instance):
    """An instance that asks people, on a page of its own."""

    class Meta:
        """Named for its page and its permissions."""

        proxy = True

    def __str__(self) -> str:
        return f"approval of {super().__str__()}"


class Checkpoint(models.Model):
    """What the engine needs of one instance: the hot row, and the instance's only lock.

    No foreign keys and no index on a column that changes with each step, so that updates stay on the
    page. Gone when the instance completes; kept until retention after a fault or cancellation, since
    `retry` needs it.
    """

    instance = models.UUIDField(primary_key=True)
    definition = models.BigIntegerField()
    priority = models.SmallIntegerField(default=3)
    input = models.BinaryField()
    """JSON text of the raw input: written once, never with a step."""

    state = models.BinaryField()
    """The engine's state; compressed when its first byte says so (`runtime/records.py`)."""

    step = models.BigIntegerField(default=0)
    """Steps committed so far."""

    due_at = models.DateTimeField(null=True)
    """When a timekeeper must look: the earliest timer, or now for a step that waits for nothing else."""

    leased_until = models.DateTimeField(null=True)
    """When the sweeper must look, while activities or children are open."""

    has_open_work = models.BooleanField(default=False)
    """Whether activities or children are open; stays the same from one activity to the next."""

    parked = models.BooleanField(default=False)
    """Ended with a fault or cancelled: kept for `retry` only."""

    class Meta:
        """Two partial indexes: what is due, and what the sweeper walks."""

        indexes = (
            models.Index(fields=("due_at",), condition=Q(due_at__isnull=False), name="checkpoint_due"),
            models.Index(fields=("instance",), condition=Q(has_open_work=True), name="checkpoint_work"),
        )

    def __str__(self) -> str:
        return f"checkpoint {self.step} of {self.instance}"


class History(models.Model):
    """One row per ended task run and per change of phase, in the step's transaction. Append only.

    Its ids rise within an instance; across instances a row may become visible after one with a greater id.
    """

    instance = models.UUIDField()
    step = models.BigIntegerField()
    ordinal = models.IntegerField()
    """Place among the rows of its step."""

    is_phase = models.BooleanField(null=True, default=False)
    """Null for a row of marks alone, so that it counts neither among the runs nor among the phases."""

    position = models.TextField(default="")
    name = models.TextField(default="")
    kind = models.CharField(max_length=16, default="")
    """Of a run, the task's; of a phase, what made the instance run: `started`, `resumed` or nothing."""

    status = models.CharField(max_length=12)
    attempt = models.IntegerField(default=1)
    iteration = models.IntegerField(null=True)
    queued_at = models.DateTimeField(null=True)
    """When the activity was asked for: until `started_at` it waited for a worker."""

    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    pool = models.CharField(max_length=32, default="")
    worker = models.CharField(max_length=255, default="")
    input = models.BinaryField(null=True)
    output = models.BinaryField(null=True)
    problem = models.BinaryField(null=True)
    reason = models.TextField(default="")
    by = models.CharField(max_length=150, default="")
    marks = models.TextField(null=True)  # noqa: DJ001  (null takes no room)
    """What happened around it and ended nothing (`runtime/marks.py`)."""

    class Meta:
        """Unique on where it was written: a step that is applied twice cannot be recorded twice."""

        constraints = (models.UniqueConstraint(fields=("instance", "step", "ordinal"), name="history_once"),)

    def __str__(self) -> str:
        return f"{self.position or self.status} of {self.instance}"
