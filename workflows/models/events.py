"""CloudEvents that were accepted, and those that nobody has been offered yet."""

from django.db import models


class ReceivedEvent(models.Model):
    """A CloudEvent that was accepted. Accepted means stored, once per scope, source and id."""

    scope = models.CharField(max_length=63, default="")
    """The namespace that it lives in; empty on the bus that all share (`lemline.events.scope`)."""

    source = models.TextField()
    event_id = models.TextField()
    type = models.TextField()
    event = models.BinaryField()
    """The CloudEvent in JSON format."""

    received_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    """Until when it is kept for listeners that come later."""

    by = models.CharField(max_length=150, default="")
    """Who brought it: an API key, a bridge, a webhook; `emit` for an instance."""

    class Meta:
        """The unique key makes receiving idempotent."""

        constraints = (models.UniqueConstraint(fields=("scope", "source", "event_id"), name="event_once"),)
        indexes = (models.Index(fields=("received_at",), name="event_received"),)

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class PendingEvent(models.Model):
    """An event that has not been offered to all whom it concerns. Written with the event, gone when it has been.

    A row of its own, so that what is done costs a small deletion and no second version of the event.
    """

    pk = models.CompositePrimaryKey("lane", "event")
    lane = models.SmallIntegerField()
    """Where it queues: events of one source share a lane (`runtime/event_rows.py`)."""

    event = models.BigIntegerField()
    """Its row's id. Within a lane they are worked on in this order, which is that of acceptance."""

    def __str__(self) -> str:
        return f"event {self.event} in lane {self.lane}"
