"""The database's clock, set forward or back by a test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo

import pytest
from django.db import connection

from workflows.runtime import sqlite

SetClock = Callable[[timedelta], None]
"""Sets it forward, or back, from what it really is."""

_SHIFTED = """
CREATE SCHEMA shifted;
CREATE TABLE shifted.shift (by interval);
INSERT INTO shifted.shift VALUES ('0');
CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + by FROM shifted.shift';
CREATE FUNCTION shifted.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.statement_timestamp() + by FROM shifted.shift';
SET search_path = shifted, public, pg_catalog;
"""


@contextmanager
def settable() -> Iterator[SetClock]:
    """On PostgreSQL its functions are hidden by ours, in this thread's connection; SQLite asks Python."""
    if connection.vendor == "sqlite":
        with pytest.MonkeyPatch.context() as patched:
            yield lambda by: patched.setattr(sqlite, "datetime", _ahead(by))
        return

    def shift(by: timedelta) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE shifted.shift SET by = %s", (by,))

    with connection.cursor() as cursor:
        cursor.execute(_SHIFTED)
    yield shift
    with connection.cursor() as cursor:
        cursor.execute("RESET search_path; DROP SCHEMA shifted CASCADE")


def _ahead(by: timedelta) -> type[datetime]:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + by

    return Ahead
