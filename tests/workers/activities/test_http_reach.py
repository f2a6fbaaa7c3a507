"""Where `call: http` may go, with which credentials, and how it is stopped. Source: docs/dsl.md 48."""

import asyncio
import base64
import socket
import threading
from dataclasses import replace

import pytest

from tests.waiting import wait_until
from tests.workers.activities.calling import (
    LIMITS,
    Asked,
    all_of,
    failure_of,
    output_of,
    played,
    result_of,
    secret,
    short,
)
from tests.workers.activities.serving import Seen, connected, read_request, reply, serving
from workers.activities import ActivityError, Cancellation, Limits

CREDENTIALS = {"authorization": "Bearer a", "Cookie": "b=c", "X-Api-Key": "d", "X-Auth-Token": "e"}
HARMLESS = {"Accept": "text/plain", "X-Trace": "t"}


def test_redirects_are_followed_to_the_same_origin_with_credentials():
    def answer(seen: Seen):
        return reply(None, 302, Location="/new?x=1") if seen.target == "/old" else reply({"at": seen.target})

    with serving(answer) as service:
        output = output_of(
            "http",
            {"method": "get", "endpoint": {"uri": f"{service.url}/old"}, "headers": CREDENTIALS, "redirect": True},
        )

        assert output == {"at": "/new?x=1"}
        assert all(service.last.headers[name] == value for name, value in CREDENTIALS.items())


def test_credentials_stay_behind_when_a_redirect_leads_to_another_origin():
    with serving(reply({})) as other, serving(lambda _: reply(None, 307, Location=f"{other.url}/x")) as service:
        output_of(
            "http",
            {
                "method": "post", "body": {"n": 1}, "headers": {**CREDENTIALS, **HARMLESS}, "redirect": True,
                "endpoint": {"uri": service.url, "authentication": {"basic": secret("login")}},
            },
        )  # fmt: skip

        assert service.last.headers["Authorization"].startswith("Basic ")
        assert [name for name in (*CREDENTIALS, *HARMLESS) if name in other.last.headers] == list(HARMLESS)
        assert (other.last.method, other.last.body) == ("POST", b'{"n":1}')
        assert other.last.headers["Idempotency-Key"] == "key-1"


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"), (302, "PUT", "PUT"),
     (308, "POST", "POST")],
)  # fmt: skip
def test_a_redirect_keeps_the_method_or_becomes_a_get_as_its_status_says(status: int, method: str, becomes: str):
    with serving(lambda seen: reply(None, status, Location="/b") if seen.target == "/a" else reply({})) as service:
        output_of(
            "http",
            {
                "method": method, "endpoint": {"uri": f"{service.url}/a"}, "redirect": True,
                **({} if method == "HEAD" else {"body": {"n": 1}}),
            },
        )  # fmt: skip

        assert service.last.method == becomes
        assert bool(service.last.body) == (becomes not in ("GET", "HEAD"))
        assert ("Content-Type" in service.last.headers) == (becomes not in ("GET", "HEAD"))


def test_five_redirects_are_followed_and_a_sixth_is_a_communication_problem():
    def answer(seen: Seen):
        left = int(seen.target[1:])
        return reply(None, 302, Location=f"/{left - 1}") if left else reply("there")

    with serving(answer) as service:
        five = {"method": "get", "endpoint": {"uri": f"{service.url}/5"}, "redirect": True}
        six = {"method": "get", "endpoint": {"uri": f"{service.url}/6"}, "redirect": True}

        assert output_of("http", five) == "there"
        assert short(failure_of("http", six)) == ("communication", 502)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/", "http://[", "http://"])
def test_a_redirect_to_what_is_no_http_address_is_a_communication_problem(target: str):
    with serving(reply(None, 302, Location=target)) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}, "redirect": True})

        assert short(error) == ("communication", 502)


PRIVATE = [
    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "0.0.0.0", "10.0.0.1",
    "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "224.0.0.1", "100.64.0.1",
    "127.0.0.1.", "127。0。0。1", "１２７.0.0.1", "0x7f.0.0.1", "2130706433", "127.1", "[2002:7f00:1::]", "LOCALHOST",
    "[64:ff9b::7f00:1]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_no_spelling_of_an_address_that_is_not_public_is_reached_unless_allowed(host: str):
    with serving(reply()) as service:
        port = service.url.rpartition(":")[2]

        error = failure_of(
            "http", {"method": "get", "endpoint": {"uri": f"http://{host}:{port}/"}}, limits=Limits(connect_seconds=1)
        )

        assert short(error) in [("communication", 500), ("configuration", 400)]
        assert "not public" in str(error) or "cannot be sent" in str(error) or "gaierror" in str(error)
        assert service.seen == []


def test_a_redirect_to_an_address_that_is_not_public_is_refused():
    limits = Limits(private_addresses=("127.0.0.1/32",))

    with serving(reply(), host="127.0.0.2") as hidden, serving(reply(None, 302, Location=hidden.url)) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url}, "redirect": True}, limits=limits)

        assert "127.0.0.2, which is not public" in str(error)
        assert hidden.seen == []


@pytest.mark.parametrize("allowed", ["loopback", "all", "127.0.0.0/8"])
def test_what_is_allowed_is_reached_by_name_and_by_address(allowed: str):
    limits = Limits(private_addresses=(allowed,))

    with serving(reply({})) as service:
        by_name = service.url.replace("127.0.0.1", "localhost")

        assert output_of("http", {"method": "get", "endpoint": {"uri": service.url}}, limits=limits) == {}
        assert output_of("http", {"method": "get", "endpoint": {"uri": by_name}}, limits=limits) == {}


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_addresses_of_ipv6_are_reached():
    try:
        with serving(reply({}), host="::1") as service:
            assert output_of("http", {"method": "get", "endpoint": {"uri": service.url}}) == {}
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            {"basic": {"username": "ada", "password": "pä:ss"}},
            "Basic " + base64.b64encode("ada:pä:ss".encode()).decode(),
        ),
        ({"basic": secret("login")}, "Basic " + base64.b64encode(b"ada:love/lace").decode()),
        ({"bearer": {"token": "t"}}, "Bearer t"),
        ({"bearer": {"token": secret("token")}}, "Bearer s3cret-t0ken"),
        ({"bearer": secret("token")}, "Bearer s3cret-t0ken"),
    ],
)
def test_basic_and_bearer_credentials_are_sent(policy: dict[str, object], expected: str):
    with serving(reply()) as service:
        output_of("http", {"method": "get", "endpoint": {"uri": service.url, "authentication": policy}})

        assert service.last.headers.get_all("Authorization") == [expected]


def test_a_policy_wins_over_a_header():
    with serving(reply()) as service:
        output_of(
            "http",
            {
                "method": "get", "headers": {"authorization": "Bearer mine"},
                "endpoint": {"uri": service.url, "authentication": {"bearer": {"token": "t"}}},
            },
        )  # fmt: skip

        assert service.last.headers.get_all("Authorization") == ["Bearer t"]


def test_a_policy_of_the_workflow_is_used_by_its_name():
    with serving(reply({})) as service:
        view = played(
            f"""
use: {{authentications: {{mine: {{bearer: {{token: '${{ .token }}'}}}}}}}}
do: [{{get: {{call: http, with: {{method: get, endpoint: {{uri: '{service.url}', authentication: {{use: mine}}}}}}}}}}]
""",
            {"token": "abc"},
        )

        assert result_of(view) == {}
        assert service.last.headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize("kind", ["digest", "oauth2", "oidc", "certificate"])
def test_policies_that_are_not_there_yet_are_a_configuration_problem_and_nothing_is_sent(kind: str):
    with serving(reply()) as service:
        error = failure_of("http", {"method": "get", "endpoint": {"uri": service.url, "authentication": {kind: {}}}})

        assert short(error) == ("configuration", 400)
        assert f"{kind} authentication is not supported yet" in str(error)
        assert service.seen == []


def test_a_call_that_nobody_waits_for_any_more_hangs_up():
    begun, closed = threading.Event(), threading.Event()

    def hold(connection: socket.socket) -> None:
        read_request(connection)
        begun.set()
        connection.recv(1)
        closed.set()

    async def cancel_midway() -> Exception | None:
        cancelled = Cancellation()
        asked = Asked("http", {"method": "get", "endpoint": {"uri": url}}, cancelled=cancelled)
        task = asyncio.ensure_future(asked.run())
        await asyncio.to_thread(begun.wait, 20)
        cancelled.set()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        return ended

    with connected(hold) as url:
        [error] = all_of(cancel_midway)

        assert isinstance(error, ActivityError)
        assert not error.answered
        assert wait_until(closed.is_set)


def test_a_connection_that_does_not_come_about_is_a_communication_problem():
    limits = replace(LIMITS, connect_seconds=0.2)

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            uri = f"http://127.0.0.1:{full.getsockname()[1]}/"
            errors = [failure_of("http", {"method": "get", "endpoint": {"uri": uri}}, limits=limits, timeout_seconds=5)]

        assert short(errors[0]) == ("communication", 500)
        assert "lemline.http.connect-timeout" in str(errors[0])
