"""The bytes that a real web process sends and takes, on one connection."""

import contextlib
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lemline_site.services.program import Program, free_port, kill_group, running, start, wait_until_ready
from tests import processes
from tests.doors import ECHO, text_of
from tests.waiting import PATIENCE_SECONDS
from workflows.runtime import accounts

ROOT = Path(__file__).parents[2]
KEY = "server-tests-own-key-of-the-api"
COMMANDS = {
    "production": ("-m", "gunicorn", "--config", "python:lemline_site.web", "lemline_site.wsgi"),
    "dev": ("manage.py", "lemline", "dev"),
}


@pytest.fixture(params=COMMANDS)
def program(request: pytest.FixtureRequest, sqlite: str, tmp_path: Path) -> Program:
    """A web process that is not started yet."""
    number = free_port()
    more = {"LEMLINE_WEB_PORT": str(number), "PORT": str(number), "LEMLINE_DEV_API_KEY": KEY}
    if request.param == "dev":
        more["DATABASE_URL"] = f"sqlite:///{tmp_path / 'dev.db'}"
    accounts.ensure_api_key(KEY)
    return Program(
        name="web",
        command=(sys.executable, *COMMANDS[request.param]),
        folder=ROOT,
        environment={**processes.environment(tmp_path), "BROKER_URL": "memory://", **more},
        is_ready=lambda: socket.create_connection(("127.0.0.1", number)).close() is None,
    )


@pytest.fixture
def port(program: Program, tmp_path: Path) -> Iterator[int]:
    """Where it listens; tests/echo is registered."""
    number = int(program.environment["PORT"])
    with running(program, tmp_path / "web.log"):
        headers = {"Authorization": f"Bearer {KEY}"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", number, timeout=10)) as connection:
            connection.request("POST", "/api/v1/workflows", text_of(ECHO), headers)
            assert connection.getresponse().status == 201
        yield number


def test_answers_follow_one_another_on_a_connection(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": f"Bearer {KEY}"}

    seen = []
    for method, path, body in (
        ("HEAD", "/api/v1/workflows", None),
        ("GET", "/api/v1/workflows", None),
        ("HEAD", "/nowhere", None),
        ("DELETE", "/api/v1/workflows/tests/echo/9.9.9", None),
        ("POST", "/api/v1/workflows/tests/echo/run?wait=5", b'{"n":1.10}'),
        ("HEAD", "/health", None),
        ("PUT", "/health", b"x" * 1000),
        ("POST", "/api/v1/workflows", b"#" * (1024 * 1024 + 1)),
    ):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        seen.append((answer.status, answer.getheader("Content-Type"), bool(answer.read())))
    connection.close()

    problem = "application/problem+json"
    assert seen == [
        (200, "application/json", False),
        (200, "application/json", True),
        (404, problem, False),
        (404, problem, True),
        (200, "application/json", True),
        (200, "application/json", False),
        (405, problem, True),
        (413, problem, True),
    ]


def test_headers_that_are_too_large_are_refused_and_the_next_connection_is_served(port: int) -> None:
    statuses = []
    for size in (100_000, 4_000):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/api/v1/instances", headers={"Authorization": "Bearer " + "x" * size})
        statuses.append(connection.getresponse().status)
        connection.close()

    assert statuses[0] in (400, 401, 431)
    assert statuses[1] == 401


def test_a_body_without_its_length_is_read_or_refused_and_never_taken_for_nothing(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": f"Bearer {KEY}"}

    pieces = iter([b'{"n"', b": 1}"])
    connection.request("POST", "/api/v1/workflows/tests/echo/run?wait=5", pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    shown = json.loads(answer.read())
    connection.close()

    assert (answer.status, shown.get("output")) in ((200, {"n": 1}), (400, None))


def test_a_stream_tells_what_happens_while_it_is_open(port: int) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    reading = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    reading.request("GET", "/api/v1/events/stream?workflow=tests/echo&type=workflow.completed", headers=headers)
    stream = reading.getresponse()

    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asking.request("POST", "/api/v1/workflows/tests/echo/run", b'{"n": 1}', headers)
    made = json.loads(asking.getresponse().read())["id"]
    line = next(line for line in iter(stream.readline, b"") if line.startswith(b"data: "))
    asking.close()
    reading.close()

    event = json.loads(line.removeprefix(b"data: "))
    assert (event["subject"], event["data"]["output"]) == (made, {"n": 1})


def test_a_server_that_is_told_to_stop_does_not_wait_for_its_streams(program: Program) -> None:
    patient = replace(program, environment={**program.environment, "LEMLINE_EXECUTION_GRACE": "PT1H"})
    process = start(patient)
    wait_until_ready(patient, process)
    reading = http.client.HTTPConnection("127.0.0.1", int(program.environment["PORT"]), timeout=PATIENCE_SECONDS)
    reading.request("GET", "/api/v1/events/stream", headers={"Authorization": f"Bearer {KEY}"})
    stream = reading.getresponse()
    first = stream.readline()

    process.terminate()
    try:
        code = process.wait(PATIENCE_SECONDS)
    finally:
        kill_group(process)
    reading.close()

    assert (first, code) == (b"retry: 1000\n", 0)
