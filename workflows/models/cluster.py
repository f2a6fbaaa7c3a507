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

    usage = models.JSONField(default=dict)
    """What the process has used since it started: `{cpuSeconds, residentBytes, readBytes, writtenBytes}`."""

    def __str__(self) -> str:
        return self.name


class LoadSample(models.Model):
    """The load of the cluster as it was last looked at: one row, which is also the lock of those who look."""

    at = models.DateTimeField()
    load = models.JSONField(default=dict)
    """As `runtime/load.py` writes it."""

    triggers = models.JSONField(default=dict)
    """By name: `{isAbove, toldAt, told}`."""

    replicas = models.JSONField(default=dict)
    """By pool: `{desired, enoughSince}`, how many processes are wanted, and since when fewer would do."""

    def __str__(self) -> str:
        return f"load at {self.at:%Y-%m-%d %H:%M:%S}"
