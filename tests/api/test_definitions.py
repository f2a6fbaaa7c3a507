"""`/workflows`: register, list, show and delete definitions."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.doors import ECHO, SLEEPER, Caller, caller, register, start, text_of
from workflows.dsl import jsontext
from workflows.models import AuditEntry

PATH = "/workflows/tests/echo/1.0.0"
YAML = "application/yaml"


def send(api: Caller, text: str | bytes, query: str = "", kind: str = YAML) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return api.post(f"/workflows{query}", data, Content_Type=kind)


@pytest.mark.parametrize("kind", [YAML, "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_a_definition_is_read_as_yaml_whatever_its_type_says_but_json(api: Caller, kind: str) -> None:
    answer = send(api, text_of(ECHO), kind=kind)

    assert answer.status == 201
    assert answer.headers["Location"] == f"/api/v1{PATH}"
    assert {**answer.json, "digest": ""} == {
        "namespace": "tests", "name": "echo", "version": "1.0.0", "digest": "", "warnings": []
    }  # fmt: skip
    assert len(answer.json["digest"]) == 64


def test_a_definition_may_be_json(api: Caller) -> None:
    document = {"dsl": "1.0.3", "namespace": "tests", "name": "echo", "version": "1.0.0"}
    text = jsontext.encode({"document": document, "do": [{"echo": {"set": "${ . }"}}]})

    assert send(api, text, kind="application/json; charset=utf-8").status == 201
    assert api.get(PATH).json["do"] == [{"echo": {"set": "${ . }"}}]


def test_yaml_that_says_it_is_json_is_refused_with_its_place(api: Caller) -> None:
    answer = send(api, text_of(ECHO), kind="application/json")

    assert answer.status == 400
    assert answer.json["errors"][0]["line"] == 1
    assert "JSON" in answer.json["detail"]


def test_the_very_same_text_again_is_200_and_registers_nothing(api: Caller) -> None:
    first = send(api, text_of(ECHO))

    second = send(api, text_of(ECHO))

    assert (first.status, second.status) == (201, 200)
    assert second.json == first.json
    assert AuditEntry.objects.filter(action="definition.register").count() == 1


def test_another_text_for_a_version_is_a_conflict_that_says_what_to_do(api: Caller) -> None:
    send(api, text_of(ECHO))

    answer = send(api, text_of(SLEEPER))

    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert "new version" in answer.json["detail"]
    assert list(api.get(PATH).json["do"][0]) == ["echo"]


def test_with_force_an_administrator_replaces_a_version_and_open_instances_keep_theirs(api: Caller) -> None:
    register(SLEEPER)
    opened = start()

    answer = send(api, text_of(ECHO), "?force=true")

    assert answer.status == 201
    assert api.post("/workflows/tests/echo/run?wait=5").json["status"] == "completed"
    assert api.get(f"/instances/{opened.id}").json["positions"] == ["/do/0/nap"]
    assert AuditEntry.objects.filter(action="definition.register", reason="forced").count() == 1


def test_force_takes_the_role_admin(api: Caller) -> None:
    register(SLEEPER)

    answer = send(caller("editor"), text_of(ECHO), "?force=true")

    assert answer.status == 403
    assert "admin" in answer.json["detail"]


def test_a_dry_run_says_what_would_be_said_and_registers_nothing(api: Caller) -> None:
    register(SLEEPER, name="there")

    fresh = send(api, text_of(ECHO), "?dry_run=true")
    taken = send(api, text_of(ECHO, name="there"), "?dry_run=true")
    wrong = send(api, text_of("do: [{x: {boing: 1}}]"), "?dry_run=true")

    assert (fresh.status, taken.status, wrong.status) == (200, 409, 400)
    assert fresh.json["name"] == "echo"
    assert api.get(PATH).status == 404


def test_every_mistake_is_answered_at_once_with_pointer_line_column_and_message(api: Caller) -> None:
    answer = send(api, text_of("do:\n- one: {boing: 1}\n- two: {set: {a: 1}, then: nowhere}"))

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    places = {error["pointer"]: (error["line"], error["column"]) for error in answer.json["errors"]}
    assert places == {"/do/0/one/boing": (3, 9), "/do/1/two/then": (4, 22)}
    assert all(error["message"] for error in answer.json["errors"])


def test_what_is_questionable_is_a_warning_with_its_place(api: Caller) -> None:
    answer = send(api, text_of("do: [{nothing: null}]"))

    assert answer.status == 201
    (warning,) = answer.json["warnings"]
    assert warning["pointer"] == "/do/0/nothing"
    assert set(warning) >= {"line", "column", "message"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "a definition is an object"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe", "UTF-8"),
        (text_of(ECHO).encode() + b"# \xe9\n", "UTF-8"),
        (b"states: []\nspecVersion: '0.8'\n", "0.8"),
        (b"- 1", "object"),
        (b"\x00", "not YAML"),
        (text_of(ECHO).replace("echo,", "a/b,").encode(), "'a/b'"),
    ],
)
def test_what_is_no_definition_is_refused_with_the_reason(api: Caller, text: bytes, says: str) -> None:
    answer = send(api, text)

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert says in answer.json["errors"][0]["message"]


def test_a_definition_of_a_mebibyte_is_taken_and_one_byte_more_is_not(api: Caller) -> None:
    text = text_of(ECHO)
    full = text + "#" * (1024 * 1024 - len(text))

    assert send(api, full + "#").status == 413
    assert send(api, full).status == 201


def test_the_limit_of_a_definition_can_be_set(api: Caller, configure: Callable[[Mapping[str, str]], None]) -> None:
    configure({"lemline.limits.definition": "64"})

    answer = send(api, text_of(ECHO))

    assert answer.status == 413
    assert "lemline.limits.definition" in answer.json["detail"]


def test_a_list_has_every_version_by_name_the_highest_first(api: Caller) -> None:
    for name, version in (("b", "1.0.0"), ("a", "1.9.0"), ("a", "1.10.0"), ("a", "1.10.0-rc.1")):
        register(ECHO, name=name, version=version)

    answer = api.get("/workflows")

    found = [(item["name"], item["version"]) for item in answer.json["items"]]
    assert found == [("a", "1.10.0"), ("a", "1.10.0-rc.1"), ("a", "1.9.0"), ("b", "1.0.0")]
    assert answer.json["next"] is None
    assert set(answer.json["items"][0]) == {
        "namespace", "name", "version", "digest", "title", "summary", "createdAt", "createdBy"
    }  # fmt: skip


def test_pages_of_a_list_have_each_definition_once(api: Caller) -> None:
    wanted = [(f"n{number % 3}", f"1.{number}.0") for number in range(7)]
    for name, version in wanted:
        register(ECHO, name=name, version=version)

    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/workflows?limit=2&cursor={cursor}").json
        found += [(item["name"], item["version"]) for item in page["items"]]
        cursor = page["next"]

    assert sorted(found) == sorted(wanted)


def test_a_list_can_be_narrowed_to_a_namespace_and_a_name(api: Caller) -> None:
    for namespace, name in (("a", "x"), ("a", "y"), ("b", "x")):
        register(ECHO, namespace=namespace, name=name)

    by_namespace = api.get("/workflows?namespace=a").json["items"]
    by_both = api.get("/workflows?namespace=a&name=x").json["items"]

    assert [item["name"] for item in by_namespace] == ["x", "y"]
    assert [(item["namespace"], item["name"]) for item in by_both] == [("a", "x")]


@pytest.mark.parametrize(
    ("headers", "query", "kind"),
    [
        ({}, "", "application/json"),
        ({}, "?format=json", "application/json"),
        ({}, "?format=yaml", "application/yaml"),
        ({"Accept": "application/yaml"}, "", "application/yaml"),
        ({"Accept": "application/yaml"}, "?format=json", "application/json"),
    ],
)
def test_a_definition_is_shown_as_it_is_asked_for(api: Caller, headers: dict[str, str], query: str, kind: str) -> None:
    register(ECHO)

    answer = api.get(f"{PATH}{query}", **headers)

    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert answer.headers["ETag"]
    if kind == "application/yaml":
        assert answer.bytes.decode() == text_of(ECHO)
    else:
        assert answer.json["document"]["name"] == "echo"


@pytest.mark.parametrize("wanted", ["mermaid", "svg", "xml", ""])
def test_a_format_that_is_not_there_is_refused_with_those_that_are(api: Caller, wanted: str) -> None:
    register(ECHO)

    answer = api.get(f"{PATH}?format={wanted}")

    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert error["parameter"] == "format"
    assert "'yaml' or 'json'" in error["message"]


def test_latest_and_no_version_are_the_highest(api: Caller) -> None:
    for version in ("2.0.0-rc.1", "1.9.0", "1.10.0"):
        register(ECHO, version=version)

    latest = api.get("/workflows/tests/echo/latest")
    bare = api.get("/workflows/tests/echo")

    assert latest.json["document"]["version"] == bare.json["document"]["version"] == "2.0.0-rc.1"


def test_a_deleted_version_is_gone_and_what_ended_keeps_it(api: Caller) -> None:
    register(ECHO)
    ended = start()

    answer = api.delete(PATH)

    assert (answer.status, answer.bytes) == (204, b"")
    assert api.get(PATH).status == api.post("/workflows/tests/echo/run").status == 404
    assert api.delete(PATH).status == 404
    assert api.get(f"/instances/{ended.id}").json["status"] == "completed"
    assert AuditEntry.objects.filter(action="definition.delete").count() == 1


def test_a_version_with_open_instances_is_deleted_with_force_only_and_they_go_on(api: Caller) -> None:
    register(SLEEPER)
    opened = start()

    refused, forced = api.delete(PATH), api.delete(f"{PATH}?force=true")

    assert (refused.status, forced.status) == (409, 204)
    assert "1 instance" in refused.json["detail"]
    assert api.post(f"/instances/{opened.id}/suspend").json["status"] == "suspended"


def test_a_deleted_version_can_be_registered_again(api: Caller) -> None:
    register(ECHO)
    api.delete(PATH)

    assert send(api, text_of(SLEEPER)).status == 201


def test_latest_is_no_version_to_delete(api: Caller) -> None:
    register(ECHO)

    assert api.delete("/workflows/tests/echo/latest").status == 400
    assert api.get(PATH).status == 200
