"""Servers that are away: what a web process answers meanwhile, and that it goes on by itself."""

import contextlib
import http.client
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from lemline_site.services import postgresql as postgresql_service
from lemline_site.services import redis as redis_service
from lemline_site.services.program import Program, free_port, running
from tests import databases, processes
from tests.doors import ECHO, text_of
from tests.waiting import wait_until
from workflows.dsl import jsontext
from workflows.runtime import accounts

ROOT = Path(__file__).parents[2]
KEY = "outage-tests-own-key-of-the-api"
SOON_SECONDS = 4
"""Nobody waits longer than this for an answer: two seconds of patience, and a slow machine."""

Start = Callable[..., contextlib.AbstractContextManager[Program]]

ECHOES = "do: [{say: {run: {shell: {command: echo hello}}}}]"


@dataclass(frozen=True)
class Answer:
    """What a web process answered."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Web:
    """A web process, as the Procfile starts it."""

    port: int

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Answer:
        """Ask it; fails when no answer comes in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": f"Bearer {KEY}", "Content-Type": kind})
            response = connection.getresponse()
            text = response.read()
        return Answer(response.status, dict(response.getheaders()), jsontext.decode(text) if text else None)

    def get(self, path: str) -> Answer:
        """Look."""
        return self.ask("GET", path)

    def is_ready(self) -> bool:
        """Whether it can serve."""
        return self.get("/health/ready").status == 200


@pytest.fixture(scope="module")
def database(servers: Path, django_db_blocker: DjangoDbBlocker) -> Program:
    """A PostgreSQL server that does not run, with our tables and a key in its database."""
    program = postgresql_service.postgresql(servers / "outages", is_durable=False)
    with running(program, servers / "outages.log"), django_db_blocker.unblock():
        before = databases.settings.LEMLINE.database.url
        databases.use(program.url)
        databases.migrate()
        accounts.ensure_api_key(KEY)
        databases.use(before)
    return program


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run a program for the length of a block: `with start(program, **environment)`."""

    @contextlib.contextmanager
    def started(program: Program, **more: str) -> Iterator[Program]:
        environment = {**processes.environment(tmp_path), **program.environment, **more}
        with running(replace(program, environment=environment), tmp_path / f"{program.name}.log") as begun:
            yield begun

    return started


def web_program(web: Web) -> Program:
    command = (sys.executable, "-m", "gunicorn", "--config", "python:lemline_site.web", "lemline_site.wsgi")
    return Program(
        name="web",
        command=command,
        folder=ROOT,
        environment={"LEMLINE_WEB_PORT": str(web.port)},
        is_ready=lambda: web.get("/health/live").status == 200,
    )


def worker_program() -> Program:
    command = (sys.executable, "manage.py", "lemline", "worker", "--roles", "compute,maintenance")
    return Program(name="worker", command=command, folder=ROOT)


def check_unavailable(answer: Answer) -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "database" in answer.body["detail"]


def check_everything_is_unavailable(web: Web) -> None:
    ready = web.get("/health/ready")
    assert (ready.status, ready.body["status"]) == (503, "DOWN")
    assert ready.headers["Retry-After"]
    assert web.get("/health/live").status == 200
    check_unavailable(web.get("/api/v1/workflows"))
    check_unavailable(web.get("/api/v1/instances/01a21319-da7a-73cb-966a-28cb6e1a69d5"))
    check_unavailable(web.ask("POST", "/api/v1/workflows/tests/echo/run", b"{}"))
    check_unavailable(web.ask("POST", "/api/v1/workflows", text_of(ECHO).encode(), "application/yaml"))


def run(web: Web, name: str, query: str = "") -> Answer:
    return web.ask("POST", f"/api/v1/workflows/tests/{name}/run{query}", b"{}")


def test_without_its_database_a_web_process_starts_says_so_and_recovers(
    database: Program, servers: Path, start: Start
) -> None:
    web = Web(free_port())

    with start(web_program(web), DATABASE_URL=database.url, BROKER_URL="memory://"):
        check_everything_is_unavailable(web)
        with running(database, servers / "outages.log"):
            wait_until(web.is_ready)
            registered = web.ask("POST", "/api/v1/workflows", text_of(ECHO).encode(), "application/yaml")
            before = run(web, "echo", "?wait=2")
        check_everything_is_unavailable(web)
        with running(database, servers / "outages.log"):
            wait_until(web.is_ready)
            seen = web.get(f"/api/v1/instances/{before.body['id']}")
            after = run(web, "echo", "?wait=2")

    assert registered.status == 201
    assert (before.status, seen.body["status"], after.status) == (200, "completed", 200)


def test_a_database_that_restarted_unnoticed_costs_no_request_an_answer(
    database: Program, servers: Path, start: Start
) -> None:
    """Each thread has a connection of its own, and all of them are gone."""
    web = Web(free_port())

    with start(web_program(web), DATABASE_URL=database.url, BROKER_URL="memory://"):
        with running(database, servers / "outages.log"):
            wait_until(web.is_ready)
            with ThreadPoolExecutor(16) as askers:
                list(askers.map(lambda _: web.get("/api/v1/workflows"), range(64)))
        with running(database, servers / "outages.log"):
            answers = [web.get("/api/v1/workflows") for _ in range(32)]

    assert [answer.status for answer in answers] == [200] * 32


def test_without_its_broker_starts_are_accepted_and_run_when_it_is_back(
    postgresql: str, servers: Path, start: Start
) -> None:
    accounts.ensure_api_key(KEY)
    broker = redis_service.redis(servers / "outages-redis", is_durable=False)
    urls = {"BROKER_URL": broker.url, "CACHE_URL": "locmem://", "LEMLINE_EXECUTION_LEASE": "3s"}
    web = Web(free_port())

    with start(web_program(web), **urls):
        web.ask("POST", "/api/v1/workflows", text_of(ECHOES, name="echoes").encode(), "application/yaml")
        at_first = run(web, "echoes")
        queues = web.get("/api/v1/queues")
        with running(broker, servers / "outages-redis.log"), start(worker_program(), **urls):
            wait_until(lambda: status_of(web, at_first) == "completed")
        with start(worker_program(), **urls):
            meanwhile = run(web, "echoes")
            with running(broker, servers / "outages-redis.log"):
                wait_until(lambda: status_of(web, meanwhile) == "completed")

    assert (at_first.status, meanwhile.status) == (202, 202)
    assert queues.status == 200


def status_of(web: Web, answer: Answer) -> str:
    return str(web.get(f"/api/v1/instances/{answer.body['id']}").body["status"])
