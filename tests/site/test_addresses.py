from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from lemline_site import addresses
from lemline_site.config import Config, ConfigurationError
from lemline_site.config.sections import Database
from tests import databases


def at(url):
    return Config(database=Database(url=url))


def test_a_database_url_becomes_settings_and_its_quoting_is_undone():
    settings = addresses.database(at("postgresql://a%40b:p%2Fw@db:6432/flows?sslmode=require"))

    assert (settings["USER"], settings["PASSWORD"]) == ("a@b", "p/w")
    assert (settings["HOST"], settings["PORT"], settings["NAME"]) == ("db", 6432, "flows")
    assert settings["OPTIONS"]["sslmode"] == "require"


def test_the_spelling_of_java_is_understood():
    settings = addresses.database(at("jdbc:postgresql://primary/lemline"))

    assert (settings["HOST"], settings["NAME"]) == ("primary", "lemline")


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", ""])
def test_another_database_is_refused_with_what_is_possible(url):
    with pytest.raises(ConfigurationError, match="use postgresql:// or sqlite:///"):
        addresses.database(at(url))


@pytest.mark.parametrize(("url", "path"), [("sqlite:///a.db", "a.db"), ("sqlite:////var/a.db", "/var/a.db")])
def test_a_file_of_sqlite_is_relative_or_absolute(url, path):
    assert addresses.database(at(url))["NAME"] == path


def test_each_broker_is_told_what_it_understands():
    redis = replace(Config().messaging, url="redis://h/0")
    rabbitmq = replace(Config().messaging, url="amqp://h")

    assert addresses.transport_options(replace(Config(), messaging=redis))["priority_steps"] == [0]
    assert addresses.transport_options(replace(Config(), messaging=rabbitmq)) == {"confirm_publish": True}
    assert addresses.transport_options(Config()) == {}


def test_an_unknown_broker_and_cache_are_refused():
    with pytest.raises(ConfigurationError, match="use redis://, amqp:// or memory://"):
        addresses.broker("kafka://h")
    with pytest.raises(ConfigurationError, match="use redis:// or locmem://"):
        addresses.cache("memcached://h", "lemline")


def test_postgresql_holds_its_sessions_to_the_configuration(postgresql, configure):
    configure(
        {
            "lemline.database.query-timeout": "PT0.2S",
            "lemline.database.idle-in-transaction-timeout": "PT7S",
            "lemline.database.transaction-isolation": "REPEATABLE_READ",
            "lemline.database.application-name": "here",
        }
    )
    databases.use(postgresql)

    shown = {name: shown_as(name) for name in ("idle_in_transaction_session_timeout", "application_name")}
    with pytest.raises(OperationalError, match="statement timeout"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")

    assert shown == {"idle_in_transaction_session_timeout": "7s", "application_name": "here"}
    assert shown_as("transaction_isolation") == "repeatable read"


def test_sqlite_writes_ahead_and_waits_for_other_writers(sqlite, configure):
    configure({"lemline.database.busy-timeout": "PT3S"})
    databases.use(sqlite)

    with connection.cursor() as cursor:
        values = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        timeout = cursor.execute("PRAGMA busy_timeout").fetchone()[0]

    assert (values, timedelta(milliseconds=timeout)) == (["wal", 2], timedelta(seconds=3))


def shown_as(name):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]
