"""What tests stand on: databases, brokers, and the environment of processes that they start.

`database` runs a test twice, on PostgreSQL and on SQLite; `postgresql` and `sqlite` once. Each is the
default database, empty and with real transactions. Servers are those of LEMLINE_TEST_DATABASE_URL,
LEMLINE_TEST_REDIS_URL, LEMLINE_TEST_AMQP_URL, LEMLINE_TEST_NATS_URL and LEMLINE_TEST_MQTT_URL (`make test`
sets them); else a run starts its own when the first test wants it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import redis
from django.conf import settings
from pytest_django.plugin import DjangoDbBlocker

from lemline_site.config import KEYS
from lemline_site.config.keys import changed
from lemline_site.config.values import parse_value
from lemline_site.services import mosquitto as mosquitto_service
from lemline_site.services import nats as nats_service
from lemline_site.services import postgresql as postgresql_service
from lemline_site.services import rabbitmq as rabbitmq_service
from lemline_site.services import redis as redis_service
from lemline_site.services.program import Program, running
from tests import databases, processes


@pytest.fixture(scope="session")
def servers() -> Iterator[Path]:
    """A folder for servers that this run starts itself; anyone may enter it, since they run as other users."""
    folder = Path(tempfile.mkdtemp(prefix="lemline-servers-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _server(variable: str, make: Callable[[Path], Program], folder: Path) -> Iterator[str]:
    if url := os.environ.get(variable):
        yield url
        return
    with running(make(folder), folder.with_suffix(".log")) as program:
        yield program.url


@pytest.fixture(scope="session")
def postgresql_server(servers: Path) -> Iterator[str]:
    """URL of a database on a PostgreSQL server where databases may be created."""
    make = postgresql_service.postgresql
    yield from _server("LEMLINE_TEST_DATABASE_URL", lambda folder: make(folder, is_durable=False), servers / "pg")


@pytest.fixture(scope="session")
def redis_server(servers: Path) -> Iterator[str]:
    """URL of a Redis server, without the number of a database."""
    make = redis_service.redis
    for url in _server("LEMLINE_TEST_REDIS_URL", lambda folder: make(folder, is_durable=False), servers / "redis"):
        yield url.rsplit("/", 1)[0] if url.count("/") > 2 else url


@pytest.fixture(scope="session")
def rabbitmq_url(servers: Path) -> Iterator[str]:
    """URL of a RabbitMQ server. Its queues stay: give tests names of their own."""
    yield from _server("LEMLINE_TEST_AMQP_URL", rabbitmq_service.rabbitmq, servers / "rabbitmq")


@pytest.fixture(scope="session")
def nats_url(servers: Path) -> Iterator[str]:
    """URL of a NATS server with JetStream. Its streams stay: give tests names of their own."""
    yield from _server("LEMLINE_TEST_NATS_URL", nats_service.nats, servers / "nats")


@pytest.fixture(scope="session")
def mqtt_url(servers: Path) -> Iterator[str]:
    """URL of an MQTT server. Its sessions stay: give tests names of their own."""
    yield from _server("LEMLINE_TEST_MQTT_URL", mosquitto_service.mosquitto, servers / "mosquitto")


@pytest.fixture
def redis_url(redis_server: str, worker_id: str) -> Iterator[str]:
    """URL of an empty Redis database that no other test uses at the same time."""
    url = f"{redis_server}/{_number(worker_id) * 2}"
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
        yield url


@pytest.fixture
def redis_cache_url(redis_server: str, worker_id: str) -> Iterator[str]:
    """URL of another one, for what may be forgotten."""
    url = f"{redis_server}/{_number(worker_id) * 2 + 1}"
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
        yield url


@pytest.fixture(scope="session")
def _postgresql_url(postgresql_server: str, worker_id: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    name = f"test_lemline_{worker_id}_{os.getpid()}"
    url = databases.create(postgresql_server, name)
    with django_db_blocker.unblock():
        databases.use(url)
        databases.migrate()
    yield url
    databases.drop(postgresql_server, name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    with django_db_blocker.unblock():
        databases.use(f"sqlite:///{path}")
        databases.migrate()
    return path


@pytest.fixture(scope="session")
def django_db_setup(_postgresql_url: str) -> None:
    """What `@pytest.mark.django_db` stands on: PostgreSQL."""
    databases.use(_postgresql_url)


@pytest.fixture
def postgresql(_postgresql_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The default database is an empty one on PostgreSQL; its URL."""
    with django_db_blocker.unblock():
        databases.use(_postgresql_url)
        yield _postgresql_url
        databases.use(_postgresql_url)
        databases.empty()


@pytest.fixture
def sqlite(
    _sqlite_template: Path, tmp_path: Path, django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The default database is an empty one on SQLite, a file of the test's own; its URL."""
    url = f"sqlite:///{shutil.copy(_sqlite_template, tmp_path / 'lemline.db')}"
    before = settings.LEMLINE.database.url
    with django_db_blocker.unblock():
        databases.use(url)
        yield url
        databases.use(before)


@pytest.fixture(params=("postgresql", "sqlite"))
def database(request: pytest.FixtureRequest) -> str:
    """The default database: the test runs on PostgreSQL and on SQLite; its URL."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Change keys of `settings.LEMLINE` for the length of a test: `configure({"lemline.limits.input": "1K"})`."""

    def change(values: Mapping[str, str]) -> None:
        parsed = {KEYS[name]: parse_value(text, KEYS[name].kind) for name, text in values.items()}
        monkeypatch.setattr(settings, "LEMLINE", changed(settings.LEMLINE, parsed))

    return change


@pytest.fixture
def process_environment(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that a test starts: nothing of the developer's, and the test's default database."""
    return processes.environment(tmp_path)


def _number(worker_id: str) -> int:
    """The number of an xdist worker: 0 for the only one. Redis has 16 databases, two for each."""
    return int(worker_id.removeprefix("gw")) % 8 if worker_id != "master" else 0
