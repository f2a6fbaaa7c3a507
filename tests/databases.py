"""The default database of a test: an empty one on PostgreSQL or on SQLite."""

from dataclasses import replace
from urllib.parse import urlsplit

import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from lemline_site import addresses


def use(url: str) -> None:
    """Make the database at a URL the default one, in every thread that has not used the old one."""
    connections["default"].close()
    del connections["default"]
    settings.LEMLINE = replace(settings.LEMLINE, database=replace(settings.LEMLINE.database, url=url))
    settings.DATABASES["default"] = addresses.database(settings.LEMLINE)
    connections.configure_settings(settings.DATABASES)


def migrate() -> None:
    """Make the tables of the default database."""
    call_command("migrate", interactive=False, verbosity=0, run_syncdb=True)
    connections["default"].close()


def create(server: str, name: str) -> str:
    """Make an empty database on a server, and return its URL; one of this name is dropped."""
    _run(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def drop(server: str, name: str) -> None:
    """Drop a database, whoever may still be connected."""
    _run(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _run(server: str, *statements: str) -> None:
    """Run statements outside of any transaction."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def empty() -> None:
    """Forget every row, but for what migrations made."""
    connection = connections["default"]
    kept = {"django_migrations", "django_content_type", "auth_permission"}
    tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - kept)
    with connection.cursor() as cursor:
        # A test may have set one that is too short for this, on a machine that does other things as well.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(f"TRUNCATE {', '.join(map(connection.ops.quote_name, tables))} RESTART IDENTITY")
        cursor.execute("RESET statement_timeout")
