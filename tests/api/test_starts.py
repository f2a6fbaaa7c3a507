"""`POST …/run` and `POST /instances`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from lemline_site.config.sections import BackPressure
from tests.doors import ECHO, FAILING, SHELL, SLEEPER, Caller, register, text_of
from workflows.runtime import operations, process
from workflows.runtime.admission import Admission

RUN = "/workflows/tests/echo/run"


def test_a_start_is_accepted_with_the_place_of_its_instance(api: Caller) -> None:
    register(SLEEPER)

    answer = api.post(RUN, {"name": "Ada"})

    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/v1/instances/{answer.json['id']}"
    assert answer.json["workflow"] == {"namespace": "tests", "name": "echo", "version": "1.0.0"}
    assert answer.json["status"] == "waiting"
    assert answer.json["positions"] == ["/do/0/nap"]
    assert answer.json["input"] == {"name": "Ada"}
    assert answer.json["priority"] == 3
    assert answer.json["endedAt"] is None
    assert answer.json["createdAt"].endswith("Z")


def test_a_start_that_waits_answers_200_once_it_has_ended(api: Caller) -> None:
    register(ECHO)

    answer = api.post(f"{RUN}?wait=5", {"name": "Ada"})

    assert (answer.status, answer.json["status"], answer.json["output"]) == (200, "completed", {"name": "Ada"})


def test_a_start_that_waits_answers_200_also_when_it_faulted(api: Caller) -> None:
    register(FAILING)

    answer = api.post(f"{RUN}?wait=5")

    assert (answer.status, answer.json["status"]) == (200, "faulted")
    assert answer.json["error"]["type"] == "https://example.com/errors/broken"
    assert answer.json["error"]["instance"] == "/do/0/fail"


def test_a_start_that_waits_answers_202_when_it_goes_on(api: Caller) -> None:
    register(SLEEPER)

    answer = api.post(f"{RUN}?wait=0.01")

    assert (answer.status, answer.json["status"]) == (202, "waiting")


def test_a_start_that_does_not_wait_is_202_whatever_became_of_it(api: Caller) -> None:
    register(ECHO)

    assert api.post(RUN).status == 202


def test_nothing_as_input_means_an_empty_object(api: Caller) -> None:
    register(ECHO)

    assert api.post(f"{RUN}?wait=5").json["output"] == {}


@pytest.mark.parametrize("text", [b"1.10", b"123456789012345678901234567890", b"null", b'"\\u0000"', b"[1,2.50]"])
def test_any_json_is_an_input_and_comes_back_as_it_was_spelled(api: Caller, text: bytes) -> None:
    register("do: [{nap: {wait: {days: 1}}}]")

    answer = api.post(RUN, text)

    assert b'"input":' + text in answer.bytes


def test_an_input_that_the_schema_refuses_is_an_instance_that_faulted(api: Caller) -> None:
    register("input: {schema: {document: {type: object, required: [name]}}}\n" + ECHO)

    answer = api.post(f"{RUN}?wait=5", {})

    assert (answer.status, answer.json["status"], answer.json["error"]["status"]) == (200, "faulted", 400)


@pytest.mark.parametrize(
    ("text", "line", "column"), [(b"{bad", 1, 2), (b'{"a":\n  !}', 2, 3), (b'"\xff\xfe"', None, None)]
)
def test_an_input_that_is_no_json_is_refused_with_its_place(
    api: Caller, text: bytes, line: int | None, column: int | None
) -> None:
    register(ECHO)

    answer = api.post(RUN, text)

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    (error,) = answer.json["errors"]
    assert (error.get("line"), error.get("column")) == (line, column)
    assert "JSON" in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "parameter", "allowed"),
    [
        ("priority=9", "priority", "1 (most urgent) to 5"),
        ("priority=0", "priority", "1 (most urgent) to 5"),
        ("priority=high", "priority", "integer"),
        ("wait=61", "wait", "60"),
        ("wait=-1", "wait", "0"),
        ("wait=nan", "wait", "number"),
        ("label=lonely", "label", "key:value"),
        ("wiat=5", "wiat", "unknown"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named_with_what_is_allowed(
    api: Caller, query: str, parameter: str, allowed: str
) -> None:
    register(ECHO)

    answer = api.post(f"{RUN}?{query}")

    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert error["parameter"] == parameter
    assert allowed in error["message"]


def test_priority_and_labels_stand_on_the_instance(api: Caller) -> None:
    register(ECHO)

    answer = api.post(f"{RUN}?priority=1&label=team:a&label=url:http://x")

    assert answer.json["priority"] == 1
    assert answer.json["labels"] == {"team": "a", "url": "http://x"}


@pytest.mark.parametrize(
    "path", ["/workflows/tests/none/run", "/workflows/none/echo/run", "/workflows/tests/echo/9.9.9/run"]
)
def test_an_unknown_workflow_or_version_is_not_found(api: Caller, path: str) -> None:
    register(ECHO)

    answer = api.post(path)

    assert (answer.status, answer.json["title"]) == (404, "Not Found")


def test_an_unknown_version_is_answered_with_those_there_are(api: Caller) -> None:
    register(ECHO)

    assert "1.0.0" in api.post("/workflows/tests/echo/2.0.0/run").json["detail"]


def test_without_a_version_the_highest_is_started(api: Caller) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1"):
        register(ECHO, version=version)

    assert api.post(RUN).json["workflow"]["version"] == "1.10.0"
    assert api.post("/workflows/tests/echo/1.9.0/run").json["workflow"]["version"] == "1.9.0"
    assert api.post("/workflows/tests/echo/latest/run").json["workflow"]["version"] == "1.10.0"


def test_the_same_idempotency_key_and_body_answer_with_the_same_instance(api: Caller) -> None:
    register(SLEEPER)
    first = api.post(RUN, {"n": 1}, Idempotency_Key="k1")

    register(SLEEPER, version="1.0.1")
    second = api.post(RUN, {"n": 1}, Idempotency_Key="k1")

    assert (first.status, second.status) == (202, 202)
    assert second.json["id"] == first.json["id"]
    assert second.json["workflow"]["version"] == "1.0.0"


def test_the_same_idempotency_key_answers_200_once_its_instance_has_ended(api: Caller) -> None:
    register(ECHO)
    first = api.post(RUN, {"n": 1}, Idempotency_Key="k1")

    second = api.post(RUN, {"n": 1}, Idempotency_Key="k1")

    assert (first.status, second.status) == (202, 200)
    assert second.json["id"] == first.json["id"]


def test_the_same_idempotency_key_with_another_body_is_a_conflict(api: Caller) -> None:
    register(SLEEPER)
    first = api.post(RUN, {"n": 1}, Idempotency_Key="k1")

    answer = api.post(RUN, {"n": 2}, Idempotency_Key="k1")

    assert answer.status == 409
    assert first.json["id"] in answer.json["detail"]


def test_an_idempotency_key_counts_per_workflow(api: Caller) -> None:
    register(SLEEPER)
    register(SLEEPER, name="other")

    first = api.post(RUN, Idempotency_Key="k1")
    second = api.post("/workflows/tests/other/run", Idempotency_Key="k1")

    assert first.json["id"] != second.json["id"]


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_that_is_empty_or_too_long_is_refused(api: Caller, key: str) -> None:
    register(ECHO)

    assert api.post(RUN, Idempotency_Key=key).status == 400


def test_an_input_over_the_limit_is_refused(api: Caller, configure: Callable[[Mapping[str, str]], None]) -> None:
    register(ECHO)
    configure({"lemline.limits.input": "1K"})

    answer = api.post(RUN, "x" * 1023)
    also = api.post("/instances", {"workflow": {"namespace": "tests", "name": "echo"}, "input": "x" * 1023})

    assert (answer.status, also.status) == (413, 413)
    assert "lemline.limits.input" in answer.json["detail"]
    assert api.post(RUN, "x" * 1022).status == 202


def test_everything_may_stand_in_the_body(api: Caller) -> None:
    register(ECHO)
    wanted = str(uuid4())

    answer = api.post(
        "/instances?wait=5",
        {
            "workflow": {"namespace": "tests", "name": "echo", "version": "1.0.0"},
            "input": {"n": 1},
            "priority": 2,
            "labels": {"team": "a"},
            "id": wanted,
        },
    )

    assert answer.status == 200
    assert answer.json["id"] == wanted
    assert (answer.json["priority"], answer.json["labels"], answer.json["output"]) == (2, {"team": "a"}, {"n": 1})


def test_a_chosen_id_is_its_own_idempotency_key(api: Caller) -> None:
    register(SLEEPER)
    body = {"workflow": {"namespace": "tests", "name": "echo"}, "id": str(uuid4()), "input": 1}

    first, second = api.post("/instances", body), api.post("/instances", body)
    other = api.post("/instances", {**body, "input": 2})

    assert (first.status, second.status, other.status) == (202, 202, 409)


def test_an_instance_may_start_later(api: Caller) -> None:
    register(ECHO)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    answer = api.post("/instances", {"workflow": {"namespace": "tests", "name": "echo"}, "startAt": later})

    assert (answer.status, answer.json["status"], answer.json["startedAt"]) == (202, "pending", None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/workflow"),
        ({"workflow": {"namespace": "tests"}}, "/workflow/name"),
        ({"workflow": {"namespace": "tests", "name": "echo"}, "id": "1"}, "/id"),
        ({"workflow": {"namespace": "tests", "name": "echo"}, "inptu": 1}, "/inptu"),
        ({"workflow": {"namespace": "tests", "name": "echo"}, "labels": {"a": 1}}, "/labels/a"),
        ([], ""),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_pointers(api: Caller, body: object, pointer: str) -> None:
    register(ECHO)

    answer = api.post("/instances", body)

    assert answer.status == 400
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_a_start_over_the_framework_and_straight_are_the_same(api: Caller) -> None:
    register(ECHO)

    listed = api.get("/instances").json["items"]
    options = api.ask("PUT", RUN)

    assert listed == []
    assert (options.status, options.headers["Allow"]) == (405, "POST")


def test_a_definition_just_registered_here_is_the_latest_at_once(api: Caller) -> None:
    register(ECHO)
    api.post(RUN)

    operations.register(text_of(ECHO, version="2.0.0").encode(), actor=operations.Actor(name="x", door="cli"))

    assert api.post(RUN).json["workflow"]["version"] == "2.0.0"


def test_a_start_beyond_what_may_be_under_way_is_answered_429_with_the_time_to_come_back(api: Caller) -> None:
    register(SHELL)
    process.current().admission = Admission(BackPressure(max_outstanding_requests=1))
    first = api.post(RUN)

    refused = api.post(RUN)

    assert (first.status, refused.status, refused.headers["Retry-After"]) == (202, 429, "1")
    assert "max-outstanding-requests" in refused.json["detail"]
