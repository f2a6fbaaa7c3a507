"""Bridges to brokers of others, and what came over them that is no event."""

from django.db import models


class Bridge(models.Model):
    """A bridge: who takes from it now, and what it tells about itself."""

    name = models.CharField(max_length=100, unique=True)
    held_by = models.UUIDField(null=True)
    """The one that takes from it. One at a time, so that order is kept."""

    holder = models.CharField(max_length=300, default="")
    """Its process, as people find it."""

    held_until = models.DateTimeField(null=True)
    received = models.BigIntegerField(default=0)
    """Messages whose events were received."""

    rejected = models.BigIntegerField(default=0)
    """Messages that are no event."""

    at = models.DateTimeField(null=True)
    """When it was told that there were some."""

    problem = models.TextField(default="")
    """Why nothing can be taken or stored; empty once it can."""

    class Meta:
        """By name."""

        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RejectedMessage(models.Model):
    """A message that is no CloudEvent: kept, and acknowledged all the same, so that it holds up no other."""

    bridge = models.CharField(max_length=100)
    digest = models.CharField(max_length=64)
    """Of headers and body: what comes again is the same."""

    place = models.CharField(max_length=300)
    """Where it stood at its broker."""

    content_type = models.CharField(max_length=300, default="")
    headers = models.BinaryField()
    """A JSON object of texts."""

    body = models.BinaryField()
    reason = models.TextField()
    at = models.DateTimeField()

    class Meta:
        """The unique key makes rejecting idempotent."""

        constraints = (models.UniqueConstraint(fields=("bridge", "digest"), name="rejected_once"),)
        indexes = (models.Index(fields=("at",), name="rejected_at"),)

    def __str__(self) -> str:
        return f"{self.bridge} {self.place}"
