"""`call: openapi`. Source: DSL reference, "OpenAPI Call"; docs/dsl.md 39."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.workers.activities.calling import failure_of, output_of, played, result_of, secret, short
from tests.workers.activities.serving import Seen, reply, serving
from workers import activities
from workers.activities.openapi import OpenApiActivity


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are remembered by address, and ports come again."""
    monkeypatch.setattr(activities, "ACTIVITIES", {**activities.ACTIVITIES, "openapi": OpenApiActivity()})


def parameter(name: str, place: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": {}, **more}


def openapi(operation: dict[str, Any], path: str = "/pets/{id}", method: str = "get", **more: Any) -> dict[str, Any]:
    return {"openapi": "3.0.3", "paths": {path: {method: {"operationId": "work", **operation}}}, **more}


def swagger(operation: dict[str, Any], path: str = "/pets/{id}", method: str = "get", **more: Any) -> dict[str, Any]:
    return {"swagger": "2.0", "paths": {path: {method: {"operationId": "work", **operation}}}, **more}


def documented(document: object) -> Callable[[Seen], Any]:
    """A service that describes itself at /docs/api.json, and answers everything else with what it was asked."""

    def answer(seen: Seen):
        if seen.target != "/docs/api.json":
            return reply({"target": seen.target})
        if isinstance(document, bytes):
            return reply(document)
        return reply(document(seen.headers["Host"]) if callable(document) else document)

    return answer


def called(document: object, parameters: dict[str, Any] | None = None, **more: Any) -> Seen:
    """Return the request that a call of the operation `work` leads to."""
    with serving(documented(document)) as service:
        output_of("openapi", arguments(service.url, parameters, **more))
        return service.last


def refused(document: object, parameters: dict[str, Any] | None = None, **more: Any) -> tuple[tuple[str, int], str]:
    """Return the problem of a call, which sends nothing but the question for the document."""
    with serving(documented(document)) as service:
        error = failure_of("openapi", arguments(service.url, parameters, **more))

        assert [seen.target for seen in service.seen] == ["/docs/api.json"]
        return short(error), str(error)


def arguments(url: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "document": {"endpoint": {"uri": f"{url}/docs/api.json"}},
        "operationId": "work",
        **({} if parameters is None else {"parameters": parameters}),
        **more,
    }


PLACES = [
    parameter("id", "path", required=True),
    parameter("tags", "query"),
    parameter("X-Trace", "header"),
    parameter("theme", "cookie"),
]
GIVEN = {"id": "a/b", "tags": ["x", "y z"], "X-Trace": 7, "theme": "dark"}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_parameters_go_where_a_document_of_openapi_says(version: str):
    seen = called({**openapi({"parameters": PLACES}), "openapi": version}, GIVEN)

    assert (seen.method, seen.target) == ("GET", "/pets/a%2Fb?tags=x&tags=y+z")
    assert seen.headers["X-Trace"] == "7"
    assert seen.headers["Cookie"] == "theme=dark"


def test_parameters_go_where_a_document_of_swagger_says():
    places = [
        {"name": "id", "in": "path", "required": True, "type": "string"},
        {"name": "tags", "in": "query", "type": "array"},
        {"name": "X-Trace", "in": "header", "type": "integer"},
    ]

    seen = called(swagger({"parameters": places}), {"id": 5, "tags": ["x", "y"], "X-Trace": 7})

    assert seen.target == "/pets/5?tags=x,y"
    assert seen.headers["X-Trace"] == "7"


@pytest.mark.parametrize(
    ("given", "document", "expected"),
    [
        (["a", "b"], {"name": "q", "in": "query", "collectionFormat": "multi"}, "q=a&q=b"),
        (["a", "b"], {"name": "q", "in": "query", "collectionFormat": "pipes"}, "q=a%7Cb"),
        (["a", "b"], parameter("q", "query", explode=False), "q=a,b"),
        (["a", "b"], parameter("q", "query", style="spaceDelimited", explode=False), "q=a+b"),
        ({"a": 1, "b": 2}, parameter("q", "query", style="deepObject", explode=True), "q%5Ba%5D=1&q%5Bb%5D=2"),
        ({"a": 1, "b": 2}, parameter("q", "query"), "a=1&b=2"),
        (None, parameter("q", "query"), ""),
        (True, parameter("q", "query"), "q=true"),
    ],
)
def test_values_are_spelled_in_the_style_of_their_parameter(given: object, document: dict[str, Any], expected: str):
    seen = called(openapi({"parameters": [document]}, path="/pets"), {"q": given})

    assert seen.target.partition("?")[2].replace("[", "%5B").replace("]", "%5D") == expected


def test_what_is_left_is_the_json_body():
    operation = {"parameters": [parameter("id", "path")], "requestBody": {"content": {"application/json": {}}}}

    seen = called(openapi(operation, method="put"), {"id": 1, "name": "Milou", "tags": []})

    assert (seen.method, seen.target) == ("PUT", "/pets/1")
    assert json.loads(seen.body) == {"name": "Milou", "tags": []}
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Idempotency-Key"] == "key-1"


@pytest.mark.parametrize("given", [{"body": {"name": "Milou"}}, {"pet": {"name": "Milou"}}, {"name": "Milou"}])
def test_a_body_parameter_of_swagger_is_given_by_its_name_as_body_or_by_its_members(given: dict[str, Any]):
    operation = {"parameters": [{"name": "pet", "in": "body", "required": True, "schema": {}}]}

    seen = called(swagger(operation, path="/pets", method="post"), given)

    assert json.loads(seen.body) == {"name": "Milou"}


def test_a_form_is_sent_as_one():
    places = [{"name": name, "in": "formData", "type": "string"} for name in ("a", "b")]
    body = {"content": {"application/x-www-form-urlencoded": {}}}

    of_swagger = called(swagger({"parameters": places}, path="/f", method="post"), {"a": "x y", "b": 1})
    of_openapi = called(openapi({"requestBody": body}, path="/f", method="post"), {"a": "x y", "b": 1})

    assert of_swagger.body == of_openapi.body == b"a=x+y&b=1"
    assert (
        of_swagger.headers["Content-Type"]
        == of_openapi.headers["Content-Type"]
        == ("application/x-www-form-urlencoded")
    )


def test_parameters_of_a_path_count_unless_the_operation_has_its_own_and_references_are_followed():
    document = {
        "openapi": "3.1.0",
        "paths": {"/pets/{id}": {"$ref": "#/components/pathItems/pet"}},
        "components": {
            "pathItems": {
                "pet": {
                    "parameters": [{"$ref": "#/components/parameters/a~1b"}, parameter("q", "query", explode=False)],
                    "get": {"operationId": "work", "parameters": [parameter("q", "query", explode=True)]},
                }
            },
            "parameters": {"a/b": parameter("id", "path")},
        },
    }

    assert called(document, {"id": 1, "q": [1, 2]}).target == "/pets/1?q=1&q=2"


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        (None, "/pets"),
        ([], "/pets"),
        ([{"url": "/v1/"}], "/v1/pets"),
        ([{"url": "v2"}], "/docs/v2/pets"),
        ([{"url": "../v3"}], "/v3/pets"),
        ([{"url": "/{stage}/x", "variables": {"stage": {"default": "prod"}}}], "/prod/x/pets"),
    ],
)
def test_servers_are_read_relative_to_the_document(servers: list[Any] | None, expected: str):
    more = {} if servers is None else {"servers": servers}

    assert called(openapi({}, path="/pets", **more)).target == expected


def test_the_server_of_the_operation_wins_over_those_of_path_and_document():
    document = openapi({"servers": [{"url": "/own"}]}, path="/pets", servers=[{"url": "/all"}])

    assert called(document).target == "/own/pets"


def test_swagger_has_its_host_and_base_path():
    def document(host: str) -> dict[str, Any]:
        return swagger({}, path="/pets", host=host, basePath="/v2/", schemes=["https", "http"])

    assert called(document).target == "/v2/pets"
    assert called(swagger({}, path="/pets", basePath="/v2")).target == "/v2/pets"


def test_a_document_may_be_yaml():
    document = b"openapi: 3.0.0\npaths:\n  /pets:\n    get: {operationId: work}\n"

    assert called(document).target == "/pets"


def test_an_operation_that_is_not_there_is_a_configuration_problem_that_names_those_that_are():
    problem, text = refused(openapi({}), operationId="nothing")

    assert problem == ("configuration", 400)
    assert "has no operation 'nothing'; it has work" in text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs the parameter 'id'"),
        ({"id": None}, "needs the parameter 'id'"),
        ({"id": 1}, "needs the parameter 'q'"),
        ({"id": 1, "q": 1, "statsu": 2}, "has no parameter 'statsu'; it has id, q"),
    ],
)
def test_a_parameter_that_is_missing_or_misspelled_is_a_validation_problem(given: dict[str, Any], says: str):
    operation = {"parameters": [parameter("id", "path"), parameter("q", "query", required=True)]}

    problem, text = refused(openapi(operation), given)

    assert problem == ("validation", 400)
    assert says in text


def test_a_path_with_a_hole_that_no_parameter_fills_is_not_sent():
    problem, text = refused(openapi({}))

    assert problem == ("validation", 400)
    assert "'id'" in text


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"<html>", ("configuration", 400)),
        (b"{'a", ("communication", 502)),
        (b"\xff\xfe", ("communication", 502)),
        ([], ("configuration", 400)),
        ({"info": {}}, ("configuration", 400)),
        ({"openapi": "3.0.0"}, ("configuration", 400)),
        ({"openapi": "3.0.0", "paths": []}, ("configuration", 400)),
        ({"openapi": "3.0.0", "paths": {"/": None, "/a": [], "/b": {"get": "x"}}}, ("configuration", 400)),
        ({"openapi": "3.0.0", "paths": {"/": {"$ref": "#/nowhere"}}}, ("configuration", 400)),
        ({"openapi": "3.0.0", "paths": {"/": {"$ref": "#/paths/~1"}}}, ("configuration", 400)),
        ({"openapi": "3.0.0", "paths": {"/": {"$ref": "other.yaml#/a"}}}, ("configuration", 400)),
    ],
)
def test_what_is_no_document_is_told_as_such(document: object, problem: tuple[str, int]):
    assert refused(document)[0] == problem


def test_a_document_that_cannot_be_had_is_a_communication_problem():
    with serving(reply("gone", 410)) as service:
        assert short(failure_of("openapi", arguments(service.url))) == ("communication", 410)


def test_a_document_is_fetched_once_and_one_that_takes_credentials_each_time():
    with serving(documented(openapi({}, path="/pets"))) as service:
        open_, closed = arguments(service.url), arguments(service.url)
        closed["document"]["endpoint"]["authentication"] = {"bearer": secret("token")}
        for asked in (open_, open_, closed, closed):
            output_of("openapi", asked)

        fetched = [seen.headers["Authorization"] for seen in service.seen if seen.target == "/docs/api.json"]
        assert fetched == [None, "Bearer s3cret-t0ken", "Bearer s3cret-t0ken"]


def test_credentials_of_the_call_go_to_the_operation_and_not_to_the_document():
    with serving(documented(openapi({}, path="/pets"))) as service:
        output_of("openapi", arguments(service.url, authentication={"basic": secret("login")}))

        assert [seen.headers["Authorization"] is not None for seen in service.seen] == [False, True]


def test_outputs_and_redirects_are_those_of_call_http():
    with serving(documented(openapi({"parameters": [parameter("key", "query")]}, path="/pets"))) as service:
        output = output_of("openapi", arguments(service.url, {"key": secret("token")}, output="response"))

        assert service.last.target == "/pets?key=s3cret-t0ken"
        assert output["content"] == {"target": "/pets?key=s3cret-t0ken"}
        assert output["request"]["uri"] == f"{service.url}/pets?key=[secret+token]"


def test_a_workflow_calls_an_operation_of_a_document():
    with serving(documented(openapi({"parameters": [parameter("id", "path")]}))) as service:
        view = played(
            f"do: [{{get: {{call: openapi, with: {{document: {{endpoint: '{service.url}/docs/api.json'}}, "
            "operationId: work, parameters: {id: '${ .id }'}}}}]",
            {"id": 3},
        )

        assert result_of(view) == {"target": "/pets/3"}
