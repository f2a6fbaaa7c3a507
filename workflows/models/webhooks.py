"""Doors for what posts JSON of its own making."""

from django.db import models


class Webhook(models.Model):
    """A path that takes JSON from elsewhere, and how a CloudEvent is made of it."""

    name = models.CharField(max_length=63, unique=True)
    """The last part of its path."""

    namespace = models.CharField(max_length=63)
    """Whose events they become, and who manages it."""

    mapping = models.TextField()
    """JSON: attribute of the CloudEvent, or `data`, to a value that may hold expressions."""

    condition = models.TextField(blank=True, default="")
    """An expression that says whether there is an event; empty for always."""

    signature = models.JSONField(null=True)
    """How requests are signed, and by which secret; null where an API key lets them in."""

    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, default="")

    class Meta:
        """By name."""

        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
