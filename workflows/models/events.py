"""CloudEvents that were accepted."""

from django.db import models


class ReceivedEvent(models.Model):
    """A CloudEvent that was accepted. Accepted means stored, once per scope, source and id."""

    scope = models.CharField(max_length=63, default="")
    source = models.TextField()
    event_id = models.TextField()
    type = models.TextField()
    event = models.BinaryField()
    """The CloudEvent in JSON format."""

    received_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        """The unique key makes receiving idempotent."""

        constraints = (models.UniqueConstraint(fields=("scope", "source", "event_id"), name="event_once"),)
        indexes = (models.Index(fields=("received_at",), name="event_received"),)

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
