"""Who may: credentials, roles and namespaces at every route."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests.doors import ECHO, ROOT, SLEEPER, Answer, Caller, caller, register, start, text_of
from workflows.runtime import sinks, webhooks
from workflows.runtime.accounts import ROLES
from workflows.runtime.sinks import SinkRequest
from workflows.runtime.webhooks import WebhookRequest

ROUTES = [
    ("POST", "/workflows?dry_run=true", text_of(ECHO).encode(), "editor", 200),
    ("GET", "/workflows", None, "viewer", 200),
    ("GET", "/workflows/tests/echo", None, "viewer", 200),
    ("GET", "/workflows/tests/echo/1.0.0", None, "viewer", 200),
    ("DELETE", "/workflows/tests/echo/1.0.0", None, "editor", 204),
    ("POST", "/workflows/tests/echo/run", {}, "operator", 202),
    ("POST", "/workflows/tests/echo/1.0.0/run", {}, "operator", 202),
    ("POST", "/instances", {"workflow": {"namespace": "tests", "name": "echo"}}, "operator", 202),
    ("GET", "/instances", None, "viewer", 200),
    ("GET", "/instances/{id}", None, "viewer", 200),
    ("GET", "/instances/{id}/history", None, "viewer", 200),
    ("POST", "/instances/{id}/suspend", {}, "operator", 200),
    ("POST", "/instances/{id}/resume", {}, "operator", 200),
    ("POST", "/instances/{id}/cancel", {}, "operator", 200),
    ("POST", "/instances/{id}/retry", {}, "operator", 409),
    ("GET", "/dead-letters", None, "viewer", 200),
    ("POST", "/dead-letters/{id}/redeliver", {}, "operator", 409),
    ("POST", "/events", {"specversion": "1.0", "id": "1", "source": "/tests", "type": "tested"}, "operator", 202),
    ("GET", "/events", None, "viewer", 200),
    ("GET", "/events/stream", None, "viewer", 200),
    ("GET", "/keys", None, "admin", 200),
    ("POST", "/keys", {"name": "new", "role": "viewer"}, "admin", 201),
    ("DELETE", "/keys/1", None, "admin", 204),
    ("GET", "/queues", None, "viewer", 200),
    ("GET", "/schedules", None, "viewer", 200),
    ("GET", "/schedules/1", None, "viewer", 200),
    ("POST", "/schedules/1/pause", {}, "operator", 200),
    ("POST", "/schedules/1/resume", {}, "operator", 200),
    ("POST", "/schedules/1/trigger", {}, "operator", 202),
    ("POST", "/schedules/1/backfill", {"from": "2026-01-01", "to": "2026-01-02"}, "operator", 202),
    ("GET", "/approvals", None, "viewer", 200),
    ("GET", "/approvals/1", None, "viewer", 404),
    ("POST", "/approvals/1", {"decision": "approve"}, "operator", 404),
    ("POST", "/approvals/1/link", {}, "operator", 404),
    ("GET", "/webhooks", None, "viewer", 200),
    ("POST", "/webhooks", {"name": "new", "mapping": {"type": "t"}}, "editor", 201),
    ("GET", "/webhooks/shop", None, "viewer", 200),
    ("DELETE", "/webhooks/shop", None, "editor", 204),
    ("POST", "/hooks/shop", {}, "operator", 202),
    ("GET", "/sinks", None, "viewer", 200),
    ("POST", "/sinks", {"name": "new", "url": "https://sink.example"}, "admin", 201),
    ("GET", "/sinks/out", None, "viewer", 200),
    ("PUT", "/sinks/out", {"url": "https://sink.example"}, "admin", 200),
    ("DELETE", "/sinks/out", None, "admin", 200),
    ("GET", "/openapi.json", None, "viewer", 200),
    ("GET", "/docs", None, "viewer", 200),
    ("GET", "/api/v1/", None, "viewer", 404),
    ("GET", "/nowhere", None, "viewer", 404),
    ("POST", "/nowhere", {}, "viewer", 404),
    ("GET", "/instances/bulk", None, "viewer", 404),
    ("GET", "/metrics", None, "viewer", 200),
    ("GET", "/q/metrics", None, "viewer", 200),
]
"""Method, path, body, the lowest role that may, and what it is answered."""

JSON = "application/json"

IN_A_NAMESPACE = [route for route in ROUTES if "/tests/" in route[1] or "{id}" in route[1] or route[0:2] in (
    ("POST", "/instances"), ("POST", "/workflows?dry_run=true"),
)]  # fmt: skip


def ask(who: Caller, route: tuple[str, str, object, str, int], name: str) -> Answer:
    method, path, body, _, _ = route
    kind = "application/yaml" if isinstance(body, bytes) else "application/json"
    return who.ask(method, path.format(id=name), body, Content_Type=kind)


@pytest.fixture
def opened(api: Caller) -> str:
    """The id of a waiting instance of tests/sleeper; tests/echo, key 1, the webhook shop and the sink out are there."""
    register(ECHO)
    register(SLEEPER, name="sleeper")
    register(f"schedule: {{cron: '@daily'}}\n{ECHO}", name="daily")
    webhooks.create_webhook(WebhookRequest(name="shop", namespace="tests", mapping={"type": "t"}), actor=ROOT)
    sinks.add_sink(SinkRequest(name="out", url="https://sink.example", workflow="nobody"), actor=ROOT)
    return start("sleeper").id


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_a_role_may_what_is_its_own_and_lower_ones(
    route: tuple[str, str, object, str, int], role: str, opened: str
) -> None:
    answer = ask(caller(role), route, opened)

    *_, lowest, expected = route
    if ROLES.index(role) >= ROLES.index(lowest):
        assert answer.status == expected
    else:
        assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
        assert lowest in answer.json["detail"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_without_credentials_every_route_is_401(route: tuple[str, str, object, str, int], opened: str) -> None:
    check_unknown(ask(Caller(None), route, opened))


@pytest.mark.parametrize("header", [
    "", "Bearer", "Bearer ", "Bearer wrong", "Bearer lemline_00000000_wrong", "Basic YWRtaW46YWRtaW4=", "bearer\tx",
    "Token x", "Bearer \xff\xfe", "Bearer " + "x" * 100_000,
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_credentials_that_nobody_has_are_401(api: Caller, method: str, header: str) -> None:
    check_unknown(Caller(None).ask(method, "/instances", Authorization=header))
    check_unknown(Caller(None).ask(method, "/workflows/tests/echo/run", Authorization=header))


def check_unknown(answer: Answer) -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_of_the_api_stands_in_the_table(api: Caller) -> None:
    described = api.get("/openapi.json").json["paths"]

    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    found = {(method, _pattern(path.partition("?")[0])) for method, path, *_ in ROUTES}
    assert {(method, path.removeprefix("/api/v1")) for method, path in routes} <= found


def _pattern(path: str) -> str:
    known = {
        "tests": "{namespace}",
        "echo": "{name}",
        "1.0.0": "{version}",
        "{id}": "{letter_id}" if "dead-letters" in path else "{instance_id}",
        "out": "{sink_name}",
        "shop": "{webhook_name}",
    }
    parts = [known.get(part, part) for part in path.split("/")]
    numbered = {
        place: f"{{{parts[place - 1].removesuffix('s')}_id}}" for place, part in enumerate(parts) if part == "1"
    }
    return "/".join(numbered.get(place, part) for place, part in enumerate(parts))


@pytest.mark.parametrize("route", IN_A_NAMESPACE, ids=lambda route: f"{route[0]} {route[1]}")
def test_a_foreign_namespace_does_not_exist(route: tuple[str, str, object, str, int], opened: str) -> None:
    foreign, own = caller("admin", "other"), caller("admin", "tests", "other")

    refused, answer = ask(foreign, route, opened), ask(own, route, opened)

    assert (refused.status, refused.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.status == route[4]


def test_a_foreign_instance_is_told_apart_from_none_by_nothing(opened: str) -> None:
    foreign, missing = caller("admin", "other"), "01a21319-da7a-73cb-966a-28cb6e1a69d5"

    for path, body in (("", None), ("/cancel", {}), ("/retry", {"from": "/do/0/nap"}), ("/history", None)):
        ask = foreign.get if body is None else lambda path, body=body: foreign.post(path, body)
        there, none = ask(f"/instances/{opened}{path}"), ask(f"/instances/{missing}{path}")
        assert there.bytes.replace(opened.encode(), b"") == none.bytes.replace(missing.encode(), b"")


def test_lists_leave_out_foreign_namespaces(api: Caller) -> None:
    for namespace in ("a", "b"):
        register(ECHO, namespace=namespace)
        start(namespace=namespace)

    limited = caller("viewer", "a")

    assert [item["namespace"] for item in limited.get("/workflows").json["items"]] == ["a"]
    assert [item["workflow"]["namespace"] for item in limited.get("/instances").json["items"]] == ["a"]
    assert limited.get("/instances?workflow=b/echo").json["items"] == []
    assert limited.get("/workflows?namespace=b").json["items"] == []


def test_a_chosen_id_that_is_taken_in_a_foreign_namespace_shows_nothing_of_it(opened: str) -> None:
    register(ECHO, namespace="other")

    answer = caller("operator", "other").post(
        "/instances", {"workflow": {"namespace": "other", "name": "echo"}, "id": opened}
    )

    assert answer.status == 409
    assert "sleeper" not in answer.bytes.decode()


@pytest.fixture
def browser(api: Caller) -> Client:
    """A browser that checks CSRF tokens as a real one has to."""
    return Client(enforce_csrf_checks=True)


def user(*permissions: str, groups: tuple[str, ...] = (), **more: bool) -> User:
    made = User.objects.create_user("ada", password="a password of hers", **more)
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    made.groups.set([Group.objects.create(name=name) for name in groups])
    return made


@pytest.mark.parametrize(
    ("permissions", "run", "delete"),
    [
        (("view_instance",), 403, 403),
        (("change_instance",), 202, 403),
        (("add_definition",), 202, 204),
    ],
)
def test_a_session_has_the_role_of_its_users_permissions(
    browser: Client, permissions: tuple[str, ...], run: int, delete: int
) -> None:
    register(ECHO)
    browser.force_login(user(*permissions))
    token = _token(browser)

    headers = {"X-CSRFToken": token}
    assert browser.get("/api/v1/instances").status_code == 200
    assert browser.post("/api/v1/workflows/tests/echo/run", "", JSON, headers=headers).status_code == run
    assert browser.delete("/api/v1/workflows/tests/echo/1.0.0", headers=headers).status_code == delete
    assert browser.get("/api/v1/keys").status_code == 403


def test_a_superuser_may_everything(browser: Client) -> None:
    browser.force_login(user(is_superuser=True))

    assert browser.get("/api/v1/keys").status_code == 200


@pytest.mark.parametrize("more", [{}, {"is_staff": True}])
def test_a_session_without_permissions_is_nobody(browser: Client, more: dict[str, bool]) -> None:
    browser.force_login(user(**more))

    assert browser.get("/api/v1/instances").status_code == 401


def test_groups_limit_a_session_to_namespaces(browser: Client) -> None:
    for namespace in ("a", "b"):
        register(ECHO, namespace=namespace)
    browser.force_login(user("view_instance", groups=("namespace:a", "something else")))

    assert [item["namespace"] for item in browser.get("/api/v1/workflows").json()["items"]] == ["a"]
    assert browser.get("/api/v1/workflows/b/echo").status_code == 404


def test_what_changes_something_by_session_needs_the_token(browser: Client) -> None:
    register(SLEEPER)
    name = start().id
    browser.force_login(user(is_superuser=True))

    answers = [
        browser.post(f"/api/v1/instances/{name}/cancel", "", JSON),
        browser.post(f"/api/v1/instances/{name}/cancel", "", JSON, headers={"X-CSRFToken": "wrong"}),
        browser.post("/api/v1/workflows/tests/echo/run", "", JSON),
        browser.delete("/api/v1/workflows/tests/echo/1.0.0"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert {answer["Content-Type"] for answer in answers} == {"application/problem+json"}
    assert b"X-CSRFToken" in answers[0].content
    assert browser.get(f"/api/v1/instances/{name}").json()["status"] == "waiting"


def test_a_form_cannot_be_sent_with_a_session(browser: Client) -> None:
    register(ECHO)
    browser.force_login(user(is_superuser=True))

    answer = browser.post("/api/v1/workflows/tests/echo/run", {"csrfmiddlewaretoken": _token(browser)})

    assert answer.status_code == 400


def test_a_wrong_key_is_not_made_good_by_a_session(browser: Client) -> None:
    browser.force_login(user(is_superuser=True))

    assert browser.get("/api/v1/instances", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_user_who_is_no_longer_active_is_nobody(browser: Client) -> None:
    gone = user(is_superuser=True)
    browser.force_login(gone)
    User.objects.filter(pk=gone.pk).update(is_active=False)

    assert browser.get("/api/v1/instances").status_code == 401


def _token(browser: Client) -> str:
    browser.get("/admin/login/")
    return browser.cookies["csrftoken"].value
