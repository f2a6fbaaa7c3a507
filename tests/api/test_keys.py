"""`/keys`: API keys, shown once and revoked for good."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.doors import ECHO, Caller, caller, register
from workflows.models import ApiKey, AuditEntry
from workflows.runtime import accounts


def make(api: Caller, role: str = "viewer", **more: object) -> dict[str, object]:
    answer = api.post("/keys", {"name": "robot", "role": role, **more})
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.json)


def test_a_key_is_shown_once_and_kept_nowhere(api: Caller) -> None:
    made = make(api)

    shown = api.get("/keys")

    text = str(made.pop("key"))
    assert made in shown.json["items"]
    assert text.encode() not in shown.bytes
    row = ApiKey.objects.get(pk=made["id"])
    assert not any(text in str(value) for value in vars(row).values())
    assert text.startswith(f"lemline_{made['prefix']}_")


def test_a_key_works_with_its_role(api: Caller) -> None:
    register(ECHO)

    made = Caller(str(make(api, "operator")["key"]))

    assert made.post("/workflows/tests/echo/run").status == 202
    assert made.get("/keys").status == 403


@pytest.mark.parametrize("reference", ["id", "prefix"])
def test_a_revoked_key_is_refused_at_once_and_stays_in_the_list(api: Caller, reference: str) -> None:
    made = make(api)
    robot = Caller(str(made["key"]))
    before = robot.get("/instances").status

    answer = api.delete(f"/keys/{made[reference]}")

    assert (before, answer.status, robot.get("/instances").status) == (200, 204, 401)
    (listed,) = [item for item in api.get("/keys").json["items"] if item["id"] == made["id"]]
    assert listed["revokedAt"] is not None


def test_revoking_twice_keeps_the_first_time(api: Caller) -> None:
    made = make(api)
    api.delete(f"/keys/{made['id']}")
    first = ApiKey.objects.get(pk=made["id"]).revoked_at

    again = api.delete(f"/keys/{made['id']}")

    assert (again.status, ApiKey.objects.get(pk=made["id"]).revoked_at) == (204, first)


@pytest.mark.parametrize("reference", ["999", "x", "%00", "9" * 30, "-1"])
def test_a_key_that_is_not_there_cannot_be_revoked(api: Caller, reference: str) -> None:
    assert api.delete(f"/keys/{reference}").status == 404


def test_a_key_ends_when_it_expires(api: Caller) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    made = make(api, expiresAt=later.isoformat())
    robot = Caller(str(made["key"]))
    before = robot.get("/instances").status

    ApiKey.objects.filter(pk=made["id"]).update(expires_at=datetime.now(UTC))
    accounts.revoke_key(str(make(api)["id"]), actor=accounts.Actor(name="x", door="api"))

    assert (before, robot.get("/instances").status) == (200, 401)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "", "role": "viewer"}, "/name"),
        ({"name": "x" * 151, "role": "viewer"}, "/name"),
        ({"name": "a\x00", "role": "viewer"}, "/name"),
        ({"name": "a", "role": "root"}, "/role"),
        ({"name": "a", "role": "viewer", "namespaces": "x"}, "/namespaces"),
        ({"name": "a", "role": "viewer", "namespaces": [""]}, "/namespaces/0"),
        ({"name": "a", "role": "viewer", "namespaces": ["x\x00"]}, "/namespaces/0"),
        ({"name": "a", "role": "viewer", "expiresAt": "2000-01-01T00:00:00Z"}, "/expiresAt"),
        ({"name": "a", "role": "viewer", "expiresAt": "soon"}, "/expiresAt"),
        ({"name": "a", "role": "viewer", "expires": "never"}, "/expires"),
    ],
)
def test_a_body_that_cannot_be_read_makes_no_key(api: Caller, body: dict[str, object], pointer: str) -> None:
    answer = api.post("/keys", body)

    assert answer.status == 400
    assert answer.json["errors"][0]["pointer"] == pointer
    assert ApiKey.objects.count() == 1


def test_whoever_is_limited_to_namespaces_gives_away_those_only(api: Caller) -> None:
    limited = caller("admin", "a", "b")

    inherited = make(limited)
    narrower = make(limited, namespaces=["a"])
    foreign = limited.post("/keys", {"name": "x", "role": "viewer", "namespaces": ["a", "c"]})

    assert (inherited["namespaces"], narrower["namespaces"]) == (["a", "b"], ["a"])
    assert foreign.status == 400
    assert foreign.json["errors"][0]["allowed"] == ["a", "b"]


def test_whoever_is_limited_to_namespaces_sees_and_revokes_those_only(api: Caller) -> None:
    own, foreign = make(api, namespaces=["a"]), make(api, namespaces=["a", "c"])
    limited = caller("admin", "a")

    listed = [item["id"] for item in limited.get("/keys").json["items"]]

    assert own["id"] in listed
    assert foreign["id"] not in listed
    assert limited.delete("/keys/1").status == limited.delete(f"/keys/{foreign['id']}").status == 404


def test_keys_are_audited_without_their_text(api: Caller) -> None:
    made = make(api)
    api.delete(f"/keys/{made['id']}")

    entries = AuditEntry.objects.filter(subject__contains=made["prefix"]).order_by("id")

    assert [entry.action for entry in entries] == ["key.create", "key.revoke"]
    assert not any(str(made["key"]) in entry.subject for entry in entries)
