"""`GET /instances` and `GET /instances/{id}`."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.doors import ECHO, FAILING, SLEEPER, Caller, caller, register, start
from workflows.models import Instance
from workflows.runtime import process


@pytest.fixture
def both(database: str) -> Iterator[Caller]:
    """An administrator's caller, on PostgreSQL and on SQLite."""
    yield caller()
    process.end()


def ids(api: Caller, query: str = "") -> list[str]:
    return [item["id"] for item in api.get(f"/instances{query}").json["items"]]


def test_an_instance_shows_all_that_the_contract_names(api: Caller) -> None:
    register(FAILING)
    made = start(labels={"team": "a"}, input=b'{"n":1.10}', priority=2)

    answer = api.get(f"/instances/{made.id}")

    shown = answer.json
    times = {name: shown.pop(name) for name in ("createdAt", "startedAt", "endedAt")}
    error = shown.pop("error")
    assert all(text.endswith("Z") for text in times.values())
    assert b'"input":{"n":1.10}' in answer.bytes
    shown.pop("input")
    assert shown == {
        "id": made.id,
        "workflow": {"namespace": "tests", "name": "echo", "version": "1.0.0"},
        "status": "faulted",
        "priority": 2,
        "labels": {"team": "a"},
        "output": None,
        "context": {},
        "positions": [],
        "parent": None,
    }
    assert (error["type"], error["status"], error["title"], error["instance"]) == (
        "https://example.com/errors/broken", 500, "Broken", "/do/0/fail",
    )  # fmt: skip


def test_the_context_stays_readable_after_the_end(api: Caller) -> None:
    register("do: [{keep: {set: {a: 1}, export: {as: '${ {kept: .a} }'}}}]")

    assert api.get(f"/instances/{start().id}").json["context"] == {"kept": 1}


@pytest.mark.parametrize("name", ["xyz", "bulk", "1", "0" * 33, "01a21319-da7a-73cb-966a-28cb6e1a69d5", "%00"])
def test_an_instance_that_is_not_there_is_404(api: Caller, name: str) -> None:
    answer = api.get(f"/instances/{name}")

    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_whoever_waits_for_an_end_that_does_not_come_is_shown_how_it_stands(api: Caller) -> None:
    register(SLEEPER)

    assert api.get(f"/instances/{start().id}?wait=0.01").json["status"] == "waiting"


def test_whoever_waits_for_what_has_ended_is_answered_at_once(api: Caller) -> None:
    register(ECHO)

    assert api.get(f"/instances/{start().id}?wait=60").json["status"] == "completed"


@pytest.mark.parametrize("wait", ["61", "-1", "nan", "inf", "x", ""])
def test_a_wait_out_of_range_is_refused(api: Caller, wait: str) -> None:
    register(ECHO)

    answer = api.get(f"/instances/{start().id}?wait={wait}")

    assert answer.status == 400
    assert answer.json["errors"][0]["parameter"] == "wait"


def test_the_newest_comes_first_and_pages_have_each_instance_once(api: Caller) -> None:
    register(ECHO)
    made = [start().id for _ in range(5)]

    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/instances?limit=2&cursor={cursor}").json
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]

    assert found == made[::-1]


def test_the_last_page_has_no_next_also_when_it_is_full(api: Caller) -> None:
    register(ECHO)
    start(), start()

    assert api.get("/instances?limit=2").json["next"] is None
    assert api.get("/instances").json["next"] is None


def test_what_is_started_meanwhile_does_not_shift_the_next_page(api: Caller) -> None:
    register(ECHO)
    made = [start().id for _ in range(3)]
    first = api.get("/instances?limit=1").json

    start()
    second = ids(api, f"?limit=2&cursor={first['next']}")

    assert [first["items"][0]["id"], *second] == made[::-1]


@pytest.mark.parametrize("path", ["/instances", "/workflows", "/instances/{id}/history"])
@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1.5", ""])
def test_a_limit_out_of_range_is_refused_by_every_list(api: Caller, path: str, limit: str) -> None:
    register(ECHO)

    answer = api.get(f"{path.format(id=start().id)}?limit={limit}")

    assert answer.status == 400
    assert answer.json["errors"][0]["parameter"] == "limit"


@pytest.mark.parametrize("path", ["/instances", "/workflows", "/instances/{id}/history"])
@pytest.mark.parametrize("limit", [1, 500])
def test_a_limit_from_1_to_500_is_taken(api: Caller, path: str, limit: int) -> None:
    register(ECHO)

    assert api.get(f"{path.format(id=start().id)}?limit={limit}").status == 200


@pytest.mark.parametrize("path", ["/instances", "/workflows", "/instances/{id}/history"])
@pytest.mark.parametrize("place", ["", "x", "9" * 30, "9" * 5000, "-" * 36, "a/b", "1 2", "1 2 3 4", "\x00", "\u0663"])
def test_a_cursor_that_no_list_gave_is_refused(both: Caller, path: str, place: str) -> None:
    register(ECHO)
    cursor = base64.urlsafe_b64encode(place.encode()).decode() or "!"

    answer = both.get(f"{path.format(id=start().id)}?cursor={cursor}")

    assert answer.status == 400
    assert answer.json["errors"][0]["parameter"] == "cursor"


def test_a_list_leaves_out_large_values_and_says_where_they_are(api: Caller) -> None:
    register(ECHO)
    made = start(input=b'"' + b"x" * 5000 + b'"')

    (item,) = api.get("/instances").json["items"]

    assert item["input"] == {"$truncated": True, "size": 5002, "href": f"/api/v1/instances/{made.id}"}
    assert api.get(item["output"]["href"].removeprefix("/api/v1")).json["output"] == "x" * 5000


STATUSES = [
    ("completed", "echo"), ("faulted", "fail"), ("failed", "fail"), ("waiting", "nap"), ("cancelled", "gone"),
    ("terminated", "gone"), ("running", "busy"), ("active", "busy"), ("suspended", "held"), ("pending", "later"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "name"), STATUSES)
def test_a_list_can_be_narrowed_to_a_status_and_knows_synonyms(api: Caller, status: str, name: str) -> None:
    register(ECHO)
    register(ECHO, name="later")
    register(FAILING, name="fail")
    register("do: [{call: {call: http, with: {method: get, endpoint: 'http://127.0.0.1:9'}}}]", name="busy")
    for sleeper in ("nap", "gone", "held"):
        register(SLEEPER, name=sleeper)
    made = {each: start(each).id for each in ("echo", "fail", "nap", "gone", "held", "busy")}
    made["later"] = start("later", start_at=datetime.now(UTC) + timedelta(days=1)).id
    api.post(f"/instances/{made['gone']}/cancel")
    api.post(f"/instances/{made['held']}/suspend")

    assert ids(api, f"?status={status}") == [made[name]]


def test_a_status_that_is_none_is_refused_with_those_there_are(api: Caller) -> None:
    answer = api.get("/instances?status=done")

    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert error["parameter"] == "status"
    assert "completed" in error["message"]


def test_a_list_can_be_narrowed_to_a_workflow_and_a_version(api: Caller) -> None:
    register(ECHO)
    register(ECHO, version="2.0.0")
    register(ECHO, name="other")
    first, second = start(version="1.0.0").id, start(version="2.0.0").id
    start("other")

    assert ids(api, "?workflow=tests/echo") == [second, first]
    assert ids(api, "?workflow=tests/echo&version=1.0.0") == [first]
    assert ids(api, "?workflow=tests/none") == []
    assert api.get("/instances?workflow=echo").status == 400


@pytest.mark.parametrize("key", ["team", "0", "2024", "in", "isnull", "contains", "a__b", "a.b", 'q"x', "$", "é"])
def test_a_list_can_be_narrowed_to_labels_of_any_name(both: Caller, key: str) -> None:
    register(ECHO)
    wanted = start(labels={key: "x:y", "more": "1"}).id
    start(labels={key: "other"})
    start(labels={"more": "1"})
    start()

    assert ids(both, f"?label={key}:x:y") == [wanted]
    assert ids(both, f"?label={key}:x:y&label=more:1") == [wanted]
    assert ids(both, f"?label={key}:x:y&label=more:2") == []


def test_a_list_can_be_narrowed_to_a_time(both: Caller) -> None:
    register(ECHO)
    made = [start().id for _ in range(3)]
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for hours, name in enumerate(made):
        Instance.objects.filter(pk=name).update(created_at=noon + timedelta(hours=hours))

    assert ids(both, "?since=2026-01-01T13:00:00Z") == made[:0:-1]
    assert ids(both, "?until=2026-01-01T13:00:00Z") == made[:1]
    assert ids(both, "?since=2026-01-01T15:00:00%2B02:00&until=2026-01-01T14:00:00") == made[1:2]
    assert ids(both, "?since=2026-01-02") == []


@pytest.mark.parametrize(
    "time",
    ["yesterday", "2020", "1700000000", "", "2026-13-01", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59-14:00"],
)
@pytest.mark.parametrize("name", ["since", "until"])
def test_what_is_no_time_is_refused(api: Caller, name: str, time: str) -> None:
    answer = api.get(f"/instances?{name}={time}")

    assert answer.status == 400
    assert answer.json["errors"][0]["parameter"] == name


def test_a_list_can_be_narrowed_to_a_problem_by_its_type_or_the_end_of_it(api: Caller) -> None:
    register(FAILING)
    register("input: {schema: {document: {type: array}}}\n" + ECHO, name="strict")
    broken, invalid = start().id, start("strict").id

    assert ids(api, "?error=https://example.com/errors/broken") == ids(api, "?error=broken") == [broken]
    assert ids(api, "?error=validation") == [invalid]
    assert ids(api, "?error=roken") == ids(api, "?error=%25") == []


@pytest.mark.parametrize("name", ["workflow", "version", "status", "label", "since", "error", "cursor"])
def test_a_nul_in_a_filter_is_refused(both: Caller, name: str) -> None:
    answer = both.get(f"/instances?{name}=a/b:%00")

    assert answer.status == 400
    assert answer.json["errors"][0]["parameter"] == name
