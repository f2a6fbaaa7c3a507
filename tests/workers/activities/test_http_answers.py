"""What `call: http` makes of answers. Source: DSL reference, "HTTP Call", "HTTP Response"; docs/dsl.md 13, 27, 48."""

import base64
import contextlib
import gzip
import socket
import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.workers.activities.calling import LIMITS, Asked, all_of, failure_of, output_of, secret, short
from tests.workers.activities.serving import Reply, Seen, connected, read_request, reply, serving

PIXEL = b"\x89PNG\r\n\x1a\n\xff\xfe"


def got(answer: Reply, output: str | None = None, method: str = "get", **more: object) -> object:
    """Return the output of a call that is answered so."""
    with serving(answer) as service:
        shape = {} if output is None else {"output": output}
        return output_of("http", {"method": method, "endpoint": {"uri": service.url}, **shape, **more})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply({"id": 1}), {"id": 1}),
        (reply(b'{"n": 1.10}', Content_Type="application/problem+json"), {"n": Decimal("1.10")}),
        (reply(b"\xef\xbb\xbf[1]", Content_Type="application/json"), [1]),
        (reply('{"s":"é"}'.encode("latin-1"), Content_Type='Application/JSON; Charset="ISO-8859-1"'), {"s": "é"}),
        (reply("plain"), "plain"),
        (reply("é".encode("utf-16"), Content_Type="text/plain; charset=utf-16"), "é"),
        (reply(b"plain", Content_Type="text/plain; charset=undefined"), base64.b64encode(b"plain").decode()),
        (reply(PIXEL, Content_Type="image/png"), base64.b64encode(PIXEL).decode()),
        (reply(b'{"a":1}'), {"a": 1}),
        (reply(b"{no json"), "{no json"),
        (reply(None), None),
        (reply(None, 204), None),
        (reply(gzip.compress(b"[1]"), Content_Type="application/json", Content_Encoding="gzip"), [1]),
    ],
)  # fmt: skip
def test_content_is_json_text_or_base64_as_its_type_says(answer: Reply, expected: object):
    assert got(answer) == expected
    assert got(answer, "content") == expected


def test_raw_is_base64_and_null_when_there_is_none():
    assert got(reply({"id": 1}), "raw") == base64.b64encode(b'{"id": 1}').decode()
    assert got(reply(None, 204), "raw") is None


def test_a_head_request_has_no_content():
    assert got(reply({"id": 1}), method="head") is None


def test_a_response_is_told_with_its_request_as_the_reference_spells_them():
    answer = reply({"id": 1}, 201, x_request_id="r1")

    with serving(answer) as service:
        output = output_of(
            "http",
            {
                "method": "POST", "endpoint": {"uri": f"{service.url}/pets"}, "query": {"a": "b c"},
                "headers": {"x-trace": "t"}, "body": {}, "output": "response",
            },
        )  # fmt: skip

        assert output["statusCode"] == 201
        assert output["content"] == {"id": 1}
        assert output["headers"]["Content-Type"] == "application/json"
        assert output["headers"]["X-Request-Id"] == "r1"
        assert output["request"] == {
            "method": "post",
            "uri": f"{service.url}/pets?a=b+c",
            "headers": {
                "X-Trace": "t", "Content-Type": "application/json", "User-Agent": "lemline", "Idempotency-Key": "key-1",
            },
        }  # fmt: skip


def test_headers_that_come_twice_are_joined():
    with serving((200, [("X-One", "a"), ("x-one", "b")], b"")) as service:
        output = output_of("http", {"method": "get", "endpoint": {"uri": service.url}, "output": "response"})

        assert output["headers"]["X-One"] == "a, b"


def test_secrets_and_credentials_are_in_neither_the_told_request_nor_a_problem():
    asked = {
        "method": "get",
        "headers": {"X-Api-Key": secret("token")},
        "query": {"key": secret("token")},
        "output": "response",
    }

    with serving(lambda seen: reply({}, 200 if "good" in seen.target else 500)) as service:
        uri = f"{service.url}/bot{secret('token')}"
        login = {"basic": secret("login")}
        output = output_of("http", {**asked, "endpoint": {"uri": f"{uri}/good", "authentication": login}})
        error = failure_of("http", {**asked, "endpoint": {"uri": f"{uri}/bad", "authentication": login}})

        assert service.last.headers["X-Api-Key"] == "s3cret-t0ken"
        assert "/bots3cret-t0ken/bad?key=s3cret-t0ken" in service.last.target
        assert service.last.headers["Authorization"]
        assert "s3cret" not in str(output)
        assert "Authorization" not in output["request"]["headers"]
        assert output["request"]["headers"]["X-Api-Key"] == "[secret token]"
        assert error.problem.detail == f"GET {service.url}/bot[secret token]/bad answered 500: {{}}"


def test_a_type_that_promises_json_and_breaks_the_promise_is_a_communication_problem():
    with serving(reply(b"<html>", Content_Type="application/json")) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}})

        assert short(error) == ("communication", 502)
        assert error.problem.detail is not None
        assert "says it answers JSON" in error.problem.detail


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 503])
def test_an_answer_that_is_an_error_is_a_communication_problem_with_its_status(status: int):
    with serving(reply("no", status)) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}})

        assert short(error) == ("communication", status)
        assert error.answered


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_without_redirect_a_3xx_is_a_communication_problem_with_its_status(status: int):
    with serving(reply(None, status, Location="/other")) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}, "redirect": False})

        assert short(error) == ("communication", status)
        assert len(service.seen) == 1


def test_with_redirect_a_3xx_that_leads_nowhere_is_an_output():
    assert got(reply("choose", 300), redirect=True) == "choose"
    assert got(reply(None, 304), redirect=True) is None


def test_a_body_over_the_limit_is_a_communication_problem_before_it_is_read_to_its_end():
    limits = replace(LIMITS, response_bytes=100_000)

    def flood(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 65536)

    with connected(flood) as url:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": url}}, limits=limits)

        assert short(error) == ("communication", 502)
        assert "lemline.limits.response" in str(error)


def test_a_small_body_that_unpacks_to_a_large_one_is_over_the_limit_too():
    limits = replace(LIMITS, response_bytes=100_000)
    bomb = gzip.compress(b"0" * 5_000_000)

    with serving(reply(bomb, Content_Encoding="gzip")) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}}, limits=limits)

        assert short(error)[0] == "communication"


def test_an_answer_that_breaks_off_is_no_answer():
    def break_off(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with connected(break_off) as url:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": url}})

        assert short(error) == ("communication", 500)
        assert not error.answered


def test_what_is_no_http_is_a_communication_problem():
    with connected(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n")) as url:
        assert short(failure_of("http", {"method": "get", "endpoint": {"uri": url}}))[0] == "communication"


def test_tls_that_fails_is_a_communication_problem():
    with serving(reply()) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url.replace("http:", "https:")}})

        assert short(error) == ("communication", 500)


def test_nobody_there_is_a_communication_problem_without_an_answer():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unheard.getsockname()[1]}/"

        error = failure_of("http", {"method": "get", "endpoint": {"uri": uri}})

        assert short(error) == ("communication", 500)
        assert not error.answered


def test_a_name_that_nobody_knows_is_a_communication_problem():
    error = failure_of("http", {"method": "get", "endpoint": {"uri": "http://no-such-host.invalid/"}})

    assert short(error) == ("communication", 500)


def test_a_service_that_takes_too_long_is_a_timeout_without_an_answer():
    over = threading.Event()

    def slow(_: Seen) -> Reply:
        over.wait(20)
        return reply()

    with serving(slow) as service:
        error = failure_of("http", {"method": "post", "endpoint": {"uri": service.url}}, timeout_seconds=0.2)
        over.set()

        assert short(error) == ("timeout", 408)
        assert not error.answered
        assert len(service.seen) == 1


def test_connections_are_kept_between_calls():
    with serving(reply({})) as service:
        asked = Asked("http", {"method": "get", "endpoint": {"uri": service.url}})
        all_of(asked.run, asked.run)

        assert service.seen[0].peer == service.seen[1].peer


def test_a_post_on_a_kept_connection_that_closes_is_not_sent_twice():
    posts: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while request := read_request(connection):
            if request.startswith(b"POST"):
                posts.append(request)
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def post_after_get() -> object:
        await Asked("http", {"method": "get", "endpoint": {"uri": url}}).run()
        try:
            await Asked("http", {"method": "post", "endpoint": {"uri": url}, "body": {}}).run()
        except Exception as error:  # noqa: BLE001
            return error
        return None

    with connected(serve) as url:
        [error] = all_of(post_after_get)

        assert short(error) == ("communication", 500)
        assert not error.answered
        assert len(posts) == 1
