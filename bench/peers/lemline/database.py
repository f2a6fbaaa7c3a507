"""The databases that runs use: copies of a template that was migrated once."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg2

_TEMPLATE = "bench_lemline_template"


def new() -> str:
    """Return the URL of a database with empty tables."""
    with _server() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS bench_lemline WITH (FORCE)")
        _copy_template(cursor, "bench_lemline")
    return _url_of("bench_lemline")


def kept(name: str) -> str:
    """Return the URL of a database that later runs find as this one left it."""
    with _server() as cursor:
        if not _exists(cursor, name):
            _copy_template(cursor, name)
    return _url_of(name)


@contextlib.contextmanager
def _server() -> Iterator[Any]:
    connection = psycopg2.connect(os.environ["BENCH_DATABASE_URL"])
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def _exists(cursor: Any, name: str) -> bool:
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    return cursor.fetchone() is not None


def _copy_template(cursor: Any, name: str) -> None:
    if not _exists(cursor, _TEMPLATE):
        _make_template(cursor)
    cursor.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")


def _make_template(cursor: Any) -> None:
    cursor.execute(f"CREATE DATABASE {_TEMPLATE}")
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, check=True, env={**os.environ, "DATABASE_URL": _url_of(_TEMPLATE)})


def _url_of(name: str) -> str:
    return urlsplit(os.environ["BENCH_DATABASE_URL"])._replace(path=f"/{name}").geturl()
