"""Where CloudEvents go that leave the system, and those that are on their way."""

from django.db import models
from django.db.models import Q


class Sink(models.Model):
    """A place that CloudEvents are sent to: a URL or a topic of a broker, and which of them it wants."""

    name = models.CharField(max_length=63, unique=True)
    namespace = models.CharField(max_length=63, blank=True, default="")
    """The namespace whose events it wants; empty for all."""

    workflow = models.CharField(max_length=63, blank=True, default="")
    """The workflow whose events it wants; empty for all."""

    url = models.TextField()
    """Without credentials: those stand in a secret."""

    mode = models.CharField(max_length=10)
    """`structured` or `binary`: how a CloudEvent is laid out in a message."""

    kinds = models.JSONField()
    """`emit`, `lifecycle` or both."""

    filter = models.JSONField(default=dict)
    """Attribute of the CloudEvent to the texts it may have; one that ends in `*` is a beginning."""

    secret = models.CharField(max_length=255, blank=True, default="")
    """Name of the secret that signs what is sent over HTTP; empty for no signature."""

    credentials = models.CharField(max_length=255, blank=True, default="")
    """Name of the secret by which the sink lets us in; empty for none."""

    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, default="")
    held_by = models.UUIDField(null=True)
    """The courier that sends to it now. One at a time, so that order is kept."""

    held_until = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    """How often it was away in a row."""

    resting_until = models.DateTimeField(null=True)
    """When it is tried again after it was away."""

    problem = models.TextField(default="")
    """What it said last, or why nobody answered; empty once it takes events again."""

    delivered = models.BigIntegerField(default=0)
    """How many events it took."""

    delivered_at = models.DateTimeField(null=True)
    """When it took the last one."""

    class Meta:
        """By name."""

        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class OutgoingEvent(models.Model):
    """A CloudEvent on its way to one sink. Written by the step that tells it, gone once the sink has it.

    No foreign key to the sink: a step must not fail because a sink was deleted a moment ago.
    """

    sink = models.BigIntegerField()
    kind = models.CharField(max_length=9)
    """`emit` or `lifecycle`."""

    namespace = models.CharField(max_length=63)
    workflow = models.CharField(max_length=63)
    version = models.CharField(max_length=255)
    instance = models.UUIDField()
    """Whose it is: those of one instance are sent in the order of their ids."""

    source = models.TextField()
    event_id = models.TextField()
    type = models.TextField()
    event = models.BinaryField()
    """The CloudEvent in JSON format."""

    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    """When it is to be sent, or tried again."""

    attempts = models.IntegerField(db_default=0, default=0)
    problem = models.TextField(db_default="", default="")
    """Why the last attempt failed."""

    given_up_at = models.DateTimeField(null=True)
    """Set for a dead letter: it is sent again when somebody asks for it."""

    class Meta:
        """What is due of a sink, what an instance has under way, and what was given up."""

        indexes = (
            models.Index(fields=("sink", "due_at", "id"), condition=Q(given_up_at=None), name="outgoing_due"),
            models.Index(fields=("sink", "instance", "id"), condition=Q(given_up_at=None), name="outgoing_lane"),
            models.Index(
                fields=("-given_up_at", "-id"), condition=Q(given_up_at__isnull=False), name="outgoing_given_up"
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class LostEvent(OutgoingEvent):
    """An event that was given up, on a page of its own."""

    class Meta:
        """As people call them."""

        proxy = True
        verbose_name = "lost event"
