"""Answers that are given again, where their services allow it. Source: RFC 9111."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.workers.activities.calling import LIMITS, Asked, all_of, secret
from tests.workers.activities.serving import Seen, reply, serving
from workers.activities.response_cache import RESPONSES

CACHING = replace(LIMITS, cache_entries=3, cache_bytes=10_000, cache_seconds=300.0)
LONG_AGO, LONG_TO_COME = "Sun, 26 Nov 2000 12:00:00 GMT", "Thu, 26 Nov 2099 12:00:00 GMT"


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    RESPONSES.clear()
    yield
    RESPONSES.clear()


def counted(*calls: dict[str, Any], status: int = 200, **headers: str) -> tuple[int, list[Any]]:
    """Return how often a service was asked by these calls, and what they gave."""
    with serving(lambda _: reply({"n": len(service.seen)}, status, **headers)) as service:
        asked = []
        for call in calls:
            arguments = {"method": "get", "endpoint": {"uri": f"{service.url}{call.pop('path', '/')}"}, **call}
            limits = arguments.pop("limits", CACHING)
            asked.append(Asked("http", arguments, limits=limits).run)
        outputs = all_of(*asked)
        return len(service.seen), outputs


def test_the_same_question_is_asked_once():
    times, outputs = counted({}, {}, {})

    assert times == 1
    assert outputs[0] == outputs[1] == outputs[2]


def test_without_the_setting_nothing_is_kept():
    assert counted({"limits": LIMITS}, {"limits": LIMITS})[0] == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "no-store"},
        {"Cache-Control": "private, no-cache"},
        {"Cache-Control": "max-age=0"},
        {"Cache-Control": "max-age=60", "Age": "60"},
        {"Vary": "*"},
        {"Expires": "0"},
        {"Expires": LONG_AGO},
    ],
    ids=str,
)
def test_what_a_service_forbids_is_not_kept(headers: dict[str, str]):
    assert counted({}, {}, **headers)[0] == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "private, max-age=60"},
        {"Cache-Control": "max-age=60", "Expires": "0"},
        {"Expires": LONG_TO_COME},
        {"Vary": "Accept"},
    ],
    ids=str,
)
def test_what_a_service_allows_is_kept(headers: dict[str, str]):
    assert counted({}, {}, **headers)[0] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/?page=2"},
        {"headers": {"Authorization": "Bearer other"}},
        {"headers": {"Accept": "text/plain"}},
        {"headers": {"Cache-Control": "no-cache"}},
        {"method": "head"},
        {"body": {"q": 1}},
    ],
    ids=str,
)
def test_another_question_is_asked(other: dict[str, Any]):
    times, _ = counted(
        {"headers": {"Authorization": "Bearer one"}}, {"headers": {"Authorization": "Bearer one"}}, other
    )

    assert times == 2


def test_what_unsafe_methods_answer_is_never_kept():
    assert counted({"method": "post"}, {"method": "post"})[0] == 2


def test_credentials_of_a_policy_keep_answers_apart():
    with serving(lambda seen: reply({"as": seen.headers["Authorization"]})) as service:
        endpoint = {"uri": service.url}
        policies = ({"basic": secret("login")}, {"bearer": {"token": secret("token")}})
        asked = [
            Asked("http", {"method": "get", "endpoint": {**endpoint, "authentication": policy}}, limits=CACHING).run
            for policy in (*policies, *policies)
        ]

        outputs = all_of(*asked)

        assert outputs[:2] == outputs[2:]
        assert outputs[0] != outputs[1]
        assert len(service.seen) == 2


def test_namespaces_keep_answers_apart():
    with serving(reply({})) as service:
        calls = [Asked("http", {"method": "get", "endpoint": service.url}, limits=CACHING) for _ in range(2)]
        calls[1].namespace = "another"

        all_of(*(call.run for call in calls))

        assert len(service.seen) == 2


def test_a_retry_asks_and_what_it_learns_counts():
    with serving(lambda _: reply({"n": len(service.seen)})) as service:
        calls = [Asked("http", {"method": "get", "endpoint": service.url}, limits=CACHING) for _ in range(3)]
        calls[1].attempt = 2

        first, second, third = all_of(*(call.run for call in calls))

        assert first != second == third


@pytest.mark.parametrize("status", [201, 206])
def test_other_answers_are_not_kept(status: int):
    assert counted({}, {}, status=status)[0] == 2


def test_a_failure_is_not_kept():
    def answer(_: Seen):
        return reply({}, 200) if len(service.seen) > 1 else reply({}, 503)

    with serving(answer) as service:
        call = Asked("http", {"method": "get", "endpoint": service.url}, limits=CACHING)

        async def failing() -> None:
            with pytest.raises(Exception, match="503"):
                await call.run()

        assert all_of(failing, call.run)[1] == {}


def test_what_was_asked_for_longest_ago_goes_first():
    paths = [{"path": path} for path in ("/1", "/2", "/3", "/1", "/4", "/1", "/2")]

    # /4 takes the place of /2, since /1 had been asked for again.
    assert counted(*paths)[0] == 5


def test_bodies_are_bounded_together():
    with serving(reply({"text": "x" * 4000})) as service:
        asked = [
            Asked("http", {"method": "get", "endpoint": f"{service.url}/{n}"}, limits=CACHING).run for n in (1, 2, 3, 1)
        ]

        all_of(*asked)

        assert len(service.seen) == 4
