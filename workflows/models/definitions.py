"""Registered definitions."""

from typing import Self

from django.db import models
from django.db.models import Q


class DefinitionQuerySet(models.QuerySet["Definition"]):
    """Questions about definitions."""

    def current(self) -> Self:
        """Those that can be started: neither replaced nor deleted."""
        return self.filter(is_current=True)

    def versions_of(self, namespace: str, name: str) -> Self:
        """Every current version of one workflow, the highest first."""
        if "\x00" in namespace + name:
            # No name has one, and PostgreSQL does not even compare with it.
            return self.none()
        return self.current().filter(namespace=namespace, name=name).order_by("-version_key")

    def named(self, namespace: str, name: str, version: str = "latest") -> "Definition | None":
        """The current row of one version, or of the highest one; None when there is none."""
        versions = self.versions_of(namespace, name)
        if version == "latest":
            return versions.first()
        return None if "\x00" in version else versions.filter(version=version).first()


class Definition(models.Model):
    """A registered definition. Its text never changes; instances refer to the row, so a forced
    replacement leaves running ones with theirs.
    """

    namespace = models.CharField(max_length=63)
    name = models.CharField(max_length=63)
    version = models.CharField(max_length=255)
    version_key = models.CharField(max_length=400)
    """Sorts as semantic versions do."""

    digest = models.CharField(max_length=64)
    """SHA-256 of the text, hexadecimal."""

    text = models.TextField()
    title = models.TextField(blank=True, default="")
    summary = models.TextField(blank=True, default="")
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, blank=True, default="")

    objects = DefinitionQuerySet.as_manager()

    class Meta:
        """One current row per triple."""

        constraints = (
            models.UniqueConstraint(
                fields=("namespace", "name", "version"), condition=Q(is_current=True), name="definition_current"
            ),
        )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.version}"
