"""What holds at every path: methods, parameters, problems, health, the description of the API."""

import contextlib
import re
from collections import defaultdict
from typing import Any

import pytest
from django.test import Client

from tests.doors import ECHO, Answer, Caller, register, start
from workflows.dsl import jsontext

PATHS = {
    "/workflows": "GET, HEAD, POST",
    "/workflows/tests/echo": "GET, HEAD",
    "/workflows/tests/echo/1.0.0": "DELETE, GET, HEAD",
    "/workflows/tests/echo/run": "POST",
    "/workflows/tests/echo/1.0.0/run": "POST",
    "/instances": "GET, HEAD, POST",
    "/instances/{id}": "GET, HEAD",
    "/instances/{id}/history": "GET, HEAD",
    "/instances/{id}/suspend": "POST",
    "/instances/{id}/resume": "POST",
    "/instances/{id}/cancel": "POST",
    "/instances/{id}/retry": "POST",
    "/dead-letters": "GET, HEAD",
    "/dead-letters/{id}/redeliver": "POST",
    "/keys": "GET, HEAD, POST",
    "/keys/1": "DELETE",
    "/queues": "GET, HEAD",
    "/schedules": "GET, HEAD",
    "/schedules/1": "GET, HEAD",
    "/schedules/1/pause": "POST",
    "/schedules/1/resume": "POST",
    "/schedules/1/trigger": "POST",
    "/schedules/1/backfill": "POST",
    "/events": "GET, HEAD, POST",
    "/webhooks": "GET, HEAD, POST",
    "/sinks": "GET, HEAD, POST",
    "/approvals": "GET, HEAD",
}

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
WRONG = [(path, method) for path, right in PATHS.items() for method in METHODS if method not in right.split(", ")]

HEALTH = ("/health", "/health/live", "/health/liveness", "/health/ready", "/health/readiness")

LATER = [
    "/functions", "/approve/x", "/instances/bulk", "/instances/{id}/graph.svg", "/instances/{id}/timeline.svg",
]  # fmt: skip

PROBLEM = {"type", "title", "status", "detail", "instance"}


@pytest.fixture
def opened(api: Caller) -> str:
    """The id of an instance of tests/echo; schedule 1 is there too."""
    register(ECHO)
    register(f"schedule: {{cron: '@daily'}}\n{ECHO}", name="daily")
    return start().id


def check_problem(answer: Answer, status: int, path: str) -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert set(answer.json) - {"errors"} == PROBLEM
    assert answer.json["status"] == status
    assert answer.json["instance"] == path


@pytest.mark.parametrize(("path", "method"), WRONG)
def test_a_wrong_method_is_405_with_those_that_are_right(api: Caller, opened: str, path: str, method: str) -> None:
    target = path.format(id=opened)

    answer = api.ask(method, target)

    check_problem(answer, 405, f"/api/v1{target}")
    assert answer.headers["Allow"] == PATHS[path]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", HEALTH)
def test_health_is_only_looked_at(api: Caller, path: str, method: str) -> None:
    assert api.ask(method, path).headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", [path for path, methods in PATHS.items() if "GET" in methods] + ["/health", "/metrics"]
)
def test_head_is_get_without_the_body(api: Caller, opened: str, path: str) -> None:
    target = path.format(id=opened)

    head, get = api.ask("HEAD", target), api.get(target)

    assert (head.status, head.bytes) == (get.status, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


def test_head_of_what_is_not_there_has_no_body_either(api: Caller) -> None:
    answers = [api.ask("HEAD", path) for path in ("/nowhere", "/instances/x", "/workflows/tests/echo/run")]

    assert [(answer.status, answer.bytes) for answer in answers] == [(404, b""), (404, b""), (405, b"")]


@pytest.mark.parametrize("path", LATER)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_not_there_yet_is_a_problem_and_no_page(api: Caller, opened: str, path: str, method: str) -> None:
    target = path.format(id=opened)

    answer = api.ask(method, target)

    check_problem(answer, 404, f"/api/v1{target}")
    assert "/api/v1/docs" in answer.json["detail"]


@pytest.mark.parametrize("path", [*PATHS, "/health/", "/q/health/live/", "/api/v1/", "/api/", "/metrics/"])
def test_a_slash_too_many_is_404_and_no_redirect(api: Caller, opened: str, path: str) -> None:
    target = path.format(id=opened).rstrip("/") + "/"

    answer = api.get(target)

    check_problem(
        answer, 404, target if target.startswith(("/health", "/q/", "/api", "/metrics")) else f"/api/v1{target}"
    )


@pytest.mark.parametrize("path", ["/api/v2/instances", "/api/v1//instances", "/api/v1/instances/x/y/z"])
def test_a_path_that_is_not_there_is_a_problem(api: Caller, path: str) -> None:
    check_problem(api.get(path), 404, path)


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_parameter_is_refused_with_those_that_are_known(api: Caller, opened: str, path: str) -> None:
    method = "GET" if "GET" in PATHS[path] else PATHS[path].split(", ")[0]

    answer = api.ask(method, f"{path.format(id=opened)}?wiat=5")

    check_problem(answer, 400, f"/api/v1{path.format(id=opened)}")
    (error,) = answer.json["errors"]
    assert (error["parameter"], error["message"]) == ("wiat", "unknown")
    assert isinstance(error["allowed"], list)


@pytest.mark.parametrize("path", ["/workflows/a%00/b", "/workflows/a/b/1%00", "/instances/%00", "/keys/%00", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_nul_in_a_path_leads_nowhere(api: Caller, path: str, method: str) -> None:
    assert api.ask(method, path).status == 404


@pytest.mark.parametrize("prefix", ["", "/q"])
@pytest.mark.parametrize("path", HEALTH)
def test_health_needs_no_credentials_and_says_what_was_checked(sqlite: str, prefix: str, path: str) -> None:
    answer = Caller(None).get(prefix + path) if prefix else Caller(None).get(path)

    assert answer.status == 200
    assert answer.json["status"] == "UP"
    names = [check["name"] for check in answer.json["checks"]]
    assert names == {"/health": ["process", "database"]}.get(path, ["process" if "live" in path else "database"])


def test_metrics_count_open_instances_by_status(api: Caller) -> None:
    register("do: [{nap: {wait: {days: 1}}}]")
    start()

    answer = api.get("/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'lemline_instances{status="waiting"} 1.0\n' in answer.bytes.decode()
    assert api.get("/q/metrics").bytes == answer.bytes


def test_queues_show_every_pool(api: Caller) -> None:
    answer = api.get("/queues")

    assert answer.status == 200
    for item in answer.json["items"]:
        assert set(item) == {"pool", "depth", "consumers", "oldestAgeSeconds"}
    assert answer.json["next"] is None


def test_the_documentation_is_served_from_here_alone(api: Caller) -> None:
    page = api.get("/docs").bytes.decode()

    assert re.findall(r"""(?:src|href)=["']((?:https?:)?//[^"']+)""", page) == []
    scripts = re.findall(r"""(?:src|href)=["'](/static/[^"']+)""", page)
    assert len(scripts) >= 3
    for script in scripts:
        with contextlib.closing(Client().get(script)) as answer:
            assert answer.status_code == 200, script


def test_the_description_resolves_and_names_what_each_route_may_answer(api: Caller) -> None:
    described = api.get("/openapi.json").json

    assert described["openapi"].startswith("3.")
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert {"400", "401", "403", "404", "503"} <= set(map(str, operation["responses"]))
            assert operation["security"]
    _resolve(described, described)


def _resolve(document: Any, part: Any) -> None:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            found = document
            for name in reference.removeprefix("#/").split("/"):
                found = found[name]
        for value in part.values():
            _resolve(document, value)
    elif isinstance(part, list):
        for value in part:
            _resolve(document, value)


STRANGE = [
    "",
    "\x00",
    "a" * 5000,
    "-1",
    "1e999",
    "٣",
    "null",
    "[]",
    "{}",
    "../..",
    "%",
    "'\"\\",
    "\u2028",
    "9" * 40,
    "true",
]


def test_no_parameter_that_is_described_can_be_filled_so_that_it_breaks(api: Caller, opened: str) -> None:
    described = api.get("/openapi.json").json["paths"]

    for path, methods in described.items():
        target = _filled(path, opened)
        for method, operation in methods.items():
            names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            for name in names:
                for value in STRANGE:
                    _check_refused_well(api, method, target, {name: value}, None)


def test_no_body_that_is_described_can_be_filled_so_that_it_breaks(api: Caller, opened: str) -> None:
    described = api.get("/openapi.json").json["paths"]

    for path, methods in described.items():
        target = _filled(path, opened)
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for member in content.get("schema", {}).get("properties", {}):
                for value in (None, True, -1, 10**40, "", "\x00", "a" * 5000, [], {}, [[]], {"": None}):
                    _check_refused_well(api, method, target, {}, {member: value})


def _filled(path: str, opened: str) -> str:
    known = {"namespace": "tests", "name": "echo", "version": "1.0.0", "instance_id": opened, "schedule_id": "1"}
    return path.removeprefix("/api/v1").format_map(defaultdict(lambda: "x", known))


def _check_refused_well(api: Caller, method: str, path: str, query: dict[str, str], body: Any) -> None:
    from urllib.parse import urlencode

    sent = None if body is None else jsontext.encode(body)
    answer = api.ask(method.upper(), f"{path}?{urlencode(query)}" if query else path, sent)
    assert answer.status < 500, (method, path, query, body)
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
