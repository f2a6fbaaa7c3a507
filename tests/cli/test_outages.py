"""A database that is away or not prepared: exit code 4, and what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.cli.conftest import Lemline
from tests.doors import ECHO, text_of
from workflows.cli.exits import Exit
from workflows.runtime import process

COMMANDS = [
    ("definition", "list"),
    ("definition", "get", "a/b"),
    ("definition", "post", "-"),
    ("definition", "delete", "a/b:1.0.0", "--yes"),
    ("instance", "start", "a/b"),
    ("instance", "list"),
    ("instance", "get", "01a2135b-12cc-7da1-94c7-5938ca2e6e9a"),
    ("instance", "cancel", "01a2135b-12cc-7da1-94c7-5938ca2e6e9a"),
    ("admin", "list-keys"),
]


@pytest.fixture
def use(django_db_blocker: DjangoDbBlocker) -> Iterator[object]:
    """Make the database at a URL the default one."""
    before = settings.LEMLINE.database.url
    with django_db_blocker.unblock():
        yield databases.use
        process.end()
        databases.use(before)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_without_tables_is_told_to_be_migrated(
    lemline: Lemline, use, tmp_path: Path, command: tuple[str, ...]
):
    use(f"sqlite:///{tmp_path}/new.db")

    done = lemline(*command, stdin=text_of(ECHO))

    assert done.code is Exit.CONNECTION
    assert "has not the tables of this version; run `python manage.py migrate`" in done.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_is_away_is_named_without_its_password(lemline: Lemline, use, command: tuple[str, ...]):
    use("postgresql://ada:s3cret@127.0.0.1:9/x")

    done = lemline(*command, stdin=text_of(ECHO))

    assert done.code is Exit.CONNECTION
    assert "no connection to postgresql://ada:***@127.0.0.1:9/x: " in done.err
    assert "DATABASE_URL" in done.err
    assert "s3cret" not in done.err


def test_posting_a_folder_stops_at_the_first_file_that_finds_no_database(lemline: Lemline, use, file):
    for name in ("a", "b"):
        folder = file(text_of(ECHO, name=name), f"flows/{name}.yaml").parent
    use("postgresql://ada@127.0.0.1:9/x")

    done = lemline("definition", "post", "-d", folder)

    assert done.code is Exit.CONNECTION
    assert done.err.count("no connection") == 1


@pytest.mark.usefixtures("postgresql")
def test_a_postgresql_without_tables_is_told_the_same(lemline: Lemline, use, postgresql_server: str, worker_id: str):
    name = f"test_cli_{worker_id}"
    use(databases.create(postgresql_server, name))

    try:
        done = lemline("definition", "list")
    finally:
        databases.drop(postgresql_server, name)

    assert done.code is Exit.CONNECTION
    assert "run `python manage.py migrate`" in done.err
