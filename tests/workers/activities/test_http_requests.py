"""What `call: http` sends. Source: DSL reference, "HTTP Call", "URI Template"; docs/dsl.md 8, 41, 45."""

import base64
import json

import pytest

from tests.workers.activities.calling import failure_of, fault_of, output_of, played, result_of, short
from tests.workers.activities.serving import Seen, Service, reply, serving
from workers.activities import ActivityError


def sent(service: Service, method: str = "post", **more: object) -> Seen:
    output_of("http", {"method": method, "endpoint": {"uri": f"{service.url}/there"}, **more})
    return service.last


@pytest.mark.parametrize("method", ["get", "POST", "put", "Patch", "delete", "head", "options"])
def test_the_method_is_sent_in_upper_case(method: str):
    with serving(reply()) as service:
        seen = sent(service, method)

        assert seen.method == method.upper()


def test_headers_may_be_numbers_and_null_leaves_one_out():
    with serving(reply()) as service:
        seen = sent(service, headers={"X-Count": 3, "X-None": None, "x-text": "ä"})

        assert seen.headers["X-Count"] == "3"
        assert seen.headers["X-None"] is None
        assert seen.headers["X-Text"].encode("latin-1").decode() == "ä"


def test_a_query_joins_that_of_the_address_repeats_arrays_and_leaves_null_out():
    with serving(reply()) as service:
        output_of(
            "http",
            {
                "method": "get",
                "endpoint": {"uri": f"{service.url}/find?a=1"},
                "query": {"b": ["x y", 2], "c": None, "d": True, "e": "ü&="},
            },
        )

        assert service.last.target == "/find?a=1&b=x+y&b=2&d=true&e=%C3%BC%26%3D"


@pytest.mark.parametrize(
    ("headers", "body", "kind", "expected"),
    [
        ({}, {"n": 1, "s": "é"}, "application/json", '{"n":1,"s":"é"}'.encode()),
        ({}, "text", "application/json", b'"text"'),
        ({}, False, "application/json", b"false"),
        ({}, [], "application/json", b"[]"),
        ({"content-type": "text/csv"}, "a,b\n", "text/csv", b"a,b\n"),
        ({"Content-Type": "application/merge-patch+json"}, {"a": None}, "application/merge-patch+json", b'{"a":null}'),
        (
            {"Content-Type": "application/x-www-form-urlencoded"},
            {"a": "x y", "b": [1, 2], "c": None},
            "application/x-www-form-urlencoded",
            b"a=x+y&b=1&b=2",
        ),
    ],
)
def test_a_body_is_json_unless_its_content_type_says_otherwise(headers, body, kind, expected):
    with serving(reply()) as service:
        seen = sent(service, headers=headers, body=body)

        assert seen.headers["Content-Type"] == kind
        assert seen.body == expected


def test_null_is_no_body():
    with serving(reply()) as service:
        seen = sent(service, body=None)

        assert seen.body == b""
        assert seen.headers["Content-Type"] is None


def test_the_length_of_a_body_is_not_the_workflows_to_say():
    with serving(reply()) as service:
        seen = sent(service, headers={"content-length": "3", "Transfer-Encoding": "chunked"}, body={"n": 12345})

        assert json.loads(seen.body) == {"n": 12345}


def test_unsafe_methods_carry_the_idempotency_key_of_their_task_unless_the_workflow_gives_one():
    with serving(reply()) as service:
        assert sent(service, "post").headers["Idempotency-Key"] == "key-1"
        assert sent(service, "delete").headers["Idempotency-Key"] == "key-1"
        assert sent(service, "get").headers["Idempotency-Key"] is None
        assert sent(service, "put", headers={"idempotency-key": "mine"}).headers.get_all("Idempotency-Key") == ["mine"]


def test_the_user_agent_is_the_configured_one_unless_the_workflow_says_otherwise():
    with serving(reply()) as service:
        assert sent(service).headers["User-Agent"] == "lemline"
        assert sent(service, headers={"user-agent": "mine"}).headers.get_all("User-Agent") == ["mine"]


def test_user_and_password_of_an_address_become_basic_credentials():
    with serving(reply()) as service:
        output_of("http", {"method": "get", "endpoint": {"uri": service.url.replace("//", "//ada:l%2Fove@")}})

        assert base64.b64decode(service.last.headers["Authorization"].removeprefix("Basic ")) == b"ada:l/ove"


@pytest.mark.parametrize(
    "uri",
    ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1/x", "http://", "http://[::1", "http://h:99999/", 7, None],
)
def test_an_address_that_is_none_is_a_configuration_problem(uri: object):
    error = failure_of("http", {"method": "get", "endpoint": {"uri": uri}})

    assert short(error) == ("configuration", 400)


@pytest.mark.parametrize("more", [{"headers": {"a": "b\r\nEvil: 1"}}, {"headers": {"a\r\nEvil": "1"}}])
def test_a_header_cannot_smuggle_in_another_one(more: dict[str, object]):
    with serving(reply()) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}, **more})

        assert short(error) == ("configuration", 400)
        assert service.seen == []


@pytest.mark.parametrize("more", [{"headers": "a"}, {"query": [1]}])
def test_headers_and_queries_that_an_expression_made_something_else_are_expression_problems(more: dict[str, object]):
    error = failure_of("http", {"method": "get", "endpoint": {"uri": "http://127.0.0.1:1/"}, **more})

    assert short(error) == ("expression", 400)


def test_templates_take_top_level_names_verbatim_encode_values_and_leave_missing_ones_empty():
    with serving(reply({"ok": True})) as service:
        view = played(
            f"do: [{{get: {{call: http, with: {{method: get, "
            f"endpoint: '{service.url}/pets/{{petId}}/{{pet.id}}/{{none}}/{{flag}}?q={{text}}'}}}}}}]",
            {"petId": 7, "pet.id": "a/b", "pet": {"id": 1}, "flag": False, "text": "x y&z"},
        )

        assert result_of(view) == {"ok": True}
        assert service.last.target == "/pets/7/a%2Fb//false?q=x%20y%26z"


def test_a_template_with_an_object_is_an_expression_problem_and_nothing_is_sent():
    with serving(reply()) as service:
        view = played(
            f"do: [{{get: {{call: http, with: {{method: get, endpoint: '{service.url}/{{pet}}'}}}}}}]",
            {"pet": {"id": 1}},
        )

        assert fault_of(view)["type"].endswith("/expression")
        assert fault_of(view)["status"] == 400
        assert service.seen == []


RETRIED = """
do:
  - safe:
      try:
        - charge: {call: http, with: {method: post, endpoint: %s, body: '${ . }'}}
      catch: {retry: {limit: {attempt: {count: 2}}}}
"""


def test_a_retry_after_an_answer_has_a_new_key():
    answers = iter([reply("busy", 503), reply({"paid": True})])

    with serving(lambda _: next(answers)) as service:
        view = played(RETRIED % service.url)

        first, second = [seen.headers["Idempotency-Key"] for seen in service.seen]
        assert result_of(view) == {"paid": True}
        assert first != second


def test_a_retry_after_a_lost_answer_has_the_same_key():
    seen: list[str] = []

    def answer(request: Seen):
        seen.append(request.headers["Idempotency-Key"])
        if len(seen) == 1:
            raise ConnectionAbortedError
        return reply({"paid": True})

    with serving(answer) as service:
        view = played(RETRIED % service.url)

        assert result_of(view) == {"paid": True}
        assert len(seen) == 2
        assert seen[0] == seen[1]


def test_a_failed_call_tells_what_was_asked_and_what_was_said():
    with serving(reply("no such pet", 404)) as service, pytest.raises(ActivityError) as raised:
        output_of("http", {"method": "get", "endpoint": {"uri": f"{service.url}/pets/7?key=k"}})

    assert short(raised.value) == ("communication", 404)
    assert raised.value.problem.detail == f"GET {service.url}/pets/7 answered 404: no such pet"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("http", {}),
        ("http", {"method": "get"}),
        ("http", {"endpoint": "http://127.0.0.1:1/"}),
        ("http", ["get"]),
        ("openapi", {"document": {}, "operationId": "x"}),
        ("openapi", {"operationId": "x"}),
        ("shell", {}),
        ("script", {"language": "python", "source": {}}),
    ],
)
def test_arguments_that_an_expression_gave_without_what_is_needed_are_an_expression_problem(kind: str, arguments):
    assert short(failure_of(kind, arguments)) == ("expression", 400)
