"""Values of events' tables as PostgreSQL and SQLite spell them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from workflows.runtime.sqlite import read_moment


def marks(values: Sequence[object]) -> str:
    """Return a placeholder per value."""
    return ", ".join(["%s"] * len(values))


def spelled(identifier: UUID) -> str:
    """Return an id as a parameter."""
    return identifier.hex if connection.vendor == "sqlite" else str(identifier)


def as_uuid(stored: Any) -> UUID:
    """Return an id that was read."""
    return stored if isinstance(stored, UUID) else UUID(str(stored))


def moment(stored: Any) -> datetime | None:
    """Return a time that was read."""
    return read_moment(stored)
