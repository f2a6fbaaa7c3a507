"""Who may do what, and who did."""

from django.db import models


class ApiKey(models.Model):
    """A key of the HTTP API. Only its hash is kept; the prefix finds it."""

    name = models.CharField(max_length=150)
    prefix = models.CharField(max_length=16, unique=True)
    hashed = models.CharField(max_length=64)
    """SHA-256 of the whole key, hexadecimal. Keys are random, so no slow hash is needed."""

    role = models.CharField(max_length=8)
    namespaces = models.JSONField(default=list)
    """Names of the namespaces it may see; empty for all."""

    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        """As people call them."""

        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class AuditEntry(models.Model):
    """Who did what to what, why and when. Append only."""

    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=300)
    reason = models.TextField(default="")
    door = models.CharField(max_length=16, default="")
    """`api`, `admin` or `cli`."""

    class Meta:
        """As people call them."""

        verbose_name_plural = "audit entries"
        indexes = (models.Index(fields=("at",), name="audit_at"),)

    def __str__(self) -> str:
        return f"{self.by} {self.action} {self.subject}"
