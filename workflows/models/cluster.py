"""Processes that take jobs."""

from django.db import models


class Node(models.Model):
    """A process that takes jobs: one row per start. Its heartbeat is what the sweeper believes."""

    id = models.UUIDField(primary_key=True)
    """New at each start, so that a restarted process is not taken for the one that died."""

    name = models.CharField(max_length=255)
    roles = models.CharField(max_length=255, default="")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    taken = models.JSONField(default=dict)
    """Queue to the latest stamp taken from it, and when that was: `{queue: [stamp, seen]}`."""

    held = models.JSONField(default=list)
    """Waits held for longer than a third of a lease: `[[instance, wait, ring], ...]`."""

    trying = models.JSONField(default=list)
    """The suspect that this very process would die of, if it were to die now: `[instance, wait, ring]`, or empty."""

    def __str__(self) -> str:
        return self.name
