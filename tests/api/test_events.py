"""`/events`: the modes of CloudEvents, what is stored of them, and what is said to those that are none."""

from typing import Any

import pytest

from tests.doors import Caller, caller
from workflows import models
from workflows.dsl.jsontext import decode
from workflows.runtime import reception

ONE = {"specversion": "1.0", "id": "1", "source": "/orders", "type": "order.placed"}
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
HEADERS = {f"ce-{name}": text for name, text in ONE.items()}


def send(api: Caller, body: Any, kind: str = STRUCTURED, **headers: str) -> Any:
    return api.post("/events", body, Content_Type=kind, **headers)


def stored() -> list[Any]:
    return [decode(bytes(row.event)) for row in models.ReceivedEvent.objects.order_by("pk")]


def test_a_structured_event_is_stored_as_it_was_written(api: Caller) -> None:
    event = {**ONE, "time": "2026-01-31T12:00:00.5+01:00", "tries": 3, "data": {"price": 1, "z": None, "a": "\x00"}}

    answer = send(api, event, f"{STRUCTURED}; charset=utf-8")

    assert (answer.status, answer.json) == (202, {"accepted": 1, "duplicates": 0})
    assert stored() == [event]


def test_numbers_keep_their_spelling(api: Caller) -> None:
    send(api, b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"price":1.10}}')

    assert b'"price":1.10' in api.get("/events").bytes


BINARY = [
    ("application/json", b'{"a": 1}', {"data": {"a": 1}}),
    ("application/vnd.order+json; charset=utf-8", b"[]", {"data": []}),
    ("text/plain", "grün".encode(), {"data": "grün"}),
    ("text/plain; charset=latin-1", "grün".encode("latin-1"), {"data": "grün"}),
    ("application/xml", b"<a/>", {"data": "<a/>"}),
    ("image/png", b"\x89PNG", {"data_base64": "iVBORw=="}),
]


@pytest.mark.parametrize(("kind", "body", "data"), BINARY)
def test_a_binary_event_has_its_data_as_its_content_type_says(
    api: Caller, kind: str, body: bytes, data: dict[str, Any]
) -> None:
    answer = send(api, body, kind, **HEADERS, **{"ce-subject": "na%C3%AFve", "ce-tries": "3"})

    assert answer.status == 202
    assert stored() == [{**ONE, "subject": "naïve", "tries": "3", "datacontenttype": kind, **data}]


@pytest.mark.parametrize("kind", [BATCH, "application/json"])
def test_a_batch_is_accepted_whole(api: Caller, kind: str) -> None:
    batch = [{**ONE, "id": str(number)} for number in range(3)]

    assert send(api, batch, kind).json == {"accepted": 3, "duplicates": 0}
    assert stored() == batch


def test_an_event_is_taken_once_by_source_and_id(api: Caller) -> None:
    send(api, ONE)

    again = send(api, b'"other"', "application/json", **HEADERS)
    mixed = send(api, [ONE, {**ONE, "source": "/others"}, {**ONE, "id": "2"}, {**ONE, "id": "2"}], BATCH)

    assert (again.status, again.json) == (202, {"accepted": 0, "duplicates": 1})
    assert mixed.json == {"accepted": 2, "duplicates": 2}
    assert stored()[0] == ONE


def test_an_empty_batch_brings_nothing(api: Caller) -> None:
    assert send(api, [], BATCH).json == {"accepted": 0, "duplicates": 0}


def test_data_in_base64_that_is_json_is_unpacked_so_that_filters_see_it(api: Caller) -> None:
    send(api, {**ONE, "datacontenttype": "application/json", "data_base64": "eyJhIjoxfQ=="})

    assert stored() == [{**ONE, "datacontenttype": "application/json", "data": {"a": 1}}]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ONE.items() if key != name}


MISTAKES: list[tuple[Any, str, str]] = [
    *((without(name), f"/{name}", "is missing: ") for name in ONE),
    ({**ONE, "id": None}, "/id", "is missing: a text that no other event of its source has"),
    ({**ONE, "type": ""}, "/type", "is missing: what happened, such as com.example.order.placed"),
    ({**ONE, "id": 7}, "/id", "is wrong: it is a text"),
    ({**ONE, "specversion": "0.3"}, "/specversion", 'the version of CloudEvents, "1.0"'),
    ({**ONE, "source": "/" * 1001}, "/source", "longer than 1000 bytes"),
    ({**ONE, "type": "a\x00b"}, "/type", "a NUL"),
    ({**ONE, "time": "2026-01-31"}, "/time", "write RFC 3339 with its zone"),
    ({**ONE, "time": "2026-01-31T12:00:00"}, "/time", "write RFC 3339 with its zone"),
    ({**ONE, "subject": ""}, "/subject", "a text of one character at least"),
    ({**ONE, "orderId": "1"}, "/orderId", "lower"),
    ({**ONE, "a/b~": "1"}, "/a~1b~0", "lower"),
    ({**ONE, "price": 1.5}, "/price", "is a number; attributes are texts, whole numbers or true and false"),
    ({**ONE, "order": {"id": 1}}, "/order", "is an object; attributes are texts"),
    ({**ONE, "big": 2**31}, "/big", "numbers of attributes have 32 bits"),
    ({**ONE, "data": 1, "data_base64": "MQ=="}, "/data_base64", "stands beside data"),
    ({**ONE, "data_base64": "%"}, "/data_base64", "is no base64 text"),
    ({**ONE, "data_base64": 5}, "/data_base64", "is no base64 text"),
    ({**ONE, "datacontenttype": "application/json", "data_base64": "ew=="}, "/data_base64", "is not JSON"),
    (
        {**ONE, "datacontenttype": "text/plain", "data": {}},
        "/data",
        "is an object, but datacontenttype says text/plain",
    ),
    (5, "", "an event is an object with specversion, id, source, type; this is a number"),
]


@pytest.mark.parametrize(("event", "pointer", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_to_do(api: Caller, event: Any, pointer: str, message: str) -> None:
    alone, among = send(api, event), send(api, [ONE, event], BATCH)

    assert (alone.status, among.status) == (400, 400)
    [told] = [error for error in alone.json["errors"] if error["pointer"] == pointer]
    assert message in told["message"]
    assert among.json["errors"] == [
        {"index": 1, **error, "pointer": f"/1{error['pointer']}"} for error in alone.json["errors"]
    ]
    assert told["message"] in alone.json["detail"] or len(alone.json["errors"]) > 1
    assert stored() == []


def test_of_a_batch_with_a_bad_event_none_is_stored_and_all_mistakes_are_told(api: Caller) -> None:
    answer = send(api, [ONE, without("id"), {**ONE, "id": "2"}, {}], BATCH)

    assert answer.json["detail"].startswith("2 of 4 events cannot be accepted, so none was: /1/id: is missing")
    assert [(each["index"], each["pointer"]) for each in answer.json["errors"]] == [
        (1, "/1/id"), (3, "/3/specversion"), (3, "/3/id"), (3, "/3/source"), (3, "/3/type"),
    ]  # fmt: skip
    assert stored() == []


def test_a_thousand_mistakes_are_told_by_a_hundred(api: Caller) -> None:
    answer = send(api, [5] * 1000, BATCH)

    assert len(answer.json["errors"]) == 100
    assert "(and 999 more)" in answer.json["detail"]


UNREADABLE: list[tuple[str, bytes, dict[str, str], str]] = [
    (STRUCTURED, b'{\n "id": }', {}, "The body is not JSON: JSON is malformed: invalid character, line 2, column 8"),
    (STRUCTURED, b"", {}, "The body is not JSON"),
    (STRUCTURED, b"[]", {}, "this is a list"),
    (BATCH, b"{}", {}, "A batch is a list of events; this is an object"),
    ("application/cloudevents+avro", b"x", {}, "application/cloudevents+avro is not read here; send"),
    ("text/plain", b"hello", {}, "the attributes as `ce-` headers"),
    ("application/json", b"{'a': 1}", HEADERS, "The data, application/json, is not JSON"),
    ("text/plain", b"\xff", HEADERS, "is no text in utf-8, which its content type text/plain says"),
    ("text/plain; charset=klingon", b"x", HEADERS, "is no text in klingon"),
    ("text/plain", b"x", {"ce-type": "t"}, "/specversion: is missing"),
    ("text/plain", b"x", {**HEADERS, "ce-data": "x"}, "data is no attribute"),
]


@pytest.mark.parametrize(("kind", "body", "headers", "message"), UNREADABLE)
def test_what_is_no_event_is_told_why(
    api: Caller, kind: str, body: bytes, headers: dict[str, str], message: str
) -> None:
    answer = send(api, body, kind, **headers)

    assert answer.status == 400
    assert message in answer.json["detail"]
    assert stored() == []


def test_data_that_is_not_json_is_told_with_its_place(api: Caller) -> None:
    answer = send(api, b'{"a":\n1,}', "application/json", **HEADERS)

    [error] = answer.json["errors"]
    assert (error["pointer"], error["line"]) == ("/data", 2)


TWO_MEGABYTES = "x" * 2**21


@pytest.mark.parametrize(
    ("kind", "body", "headers", "errors"),
    [
        (STRUCTURED, {**ONE, "data": TWO_MEGABYTES}, {}, []),
        ("text/plain", TWO_MEGABYTES.encode(), HEADERS, []),
        (BATCH, [ONE, {**ONE, "id": "2", "data": TWO_MEGABYTES}], {}, [(1, "/1")]),
    ],
)
def test_two_megabytes_are_too_large(
    api: Caller, kind: str, body: Any, headers: dict[str, str], errors: list[tuple[int, str]]
) -> None:
    answer = send(api, body, kind, **headers)

    assert answer.status == 413
    assert "`lemline.limits.event`" in answer.json["detail"]
    assert [(each["index"], each["pointer"]) for each in answer.json.get("errors", [])] == errors
    assert stored() == []


def test_more_than_ten_thousand_events_are_too_many(api: Caller) -> None:
    answer = send(api, [ONE] * 10_001, BATCH)

    assert answer.status == 413
    assert "10001 events are over the limit of 10000 (`lemline.limits.events`)" in answer.json["detail"]
    assert stored() == []


def test_a_body_over_the_limit_of_batches_is_not_read(api: Caller, configure: Any) -> None:
    configure({"lemline.limits.event-batch": "1K"})

    answer = send(api, [{**ONE, "data": "x" * 1000}], BATCH)

    assert (answer.status, "`lemline.limits.event-batch`" in answer.json["detail"]) == (413, True)


def test_the_list_shows_the_newest_first_and_filters(api: Caller) -> None:
    batch = [{**ONE, "id": str(number), "type": "odd" if number % 2 else "even"} for number in range(6)]
    send(api, batch, BATCH)
    send(api, {**ONE, "source": "/others"})

    def ids(query: str) -> list[str]:
        return [item["event"]["id"] for item in api.get(f"/events?{query}").json["items"]]

    assert ids("") == ["1", "5", "4", "3", "2", "1", "0"]
    assert ids("type=odd") == ["5", "3", "1"]
    assert ids("source=/others") == ["1"]
    assert ids("type=odd&source=/others") == []
    assert ids("since=2999-01-01") == []
    item = api.get("/events?limit=1").json["items"][0]
    assert item["receivedAt"] == _written(models.ReceivedEvent.objects.order_by("-pk")[0].received_at)
    assert len(ids(f"since={item['receivedAt'][:10]}")) == 7


def _written(at: Any) -> str:
    return str(at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


@pytest.mark.parametrize("most", [1, 3, 20_000])
def test_pages_give_each_event_once(api: Caller, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    send(api, [{**ONE, "id": str(number), "type": "odd" if number % 2 else "even"} for number in range(9)], BATCH)
    monkeypatch.setattr(reception, "MOST_READ", most)

    seen, cursor = [], ""
    for _ in range(12):
        page = api.get(f"/events?type=odd&limit=2{cursor}").json
        seen += [item["event"]["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
        if page["next"] is None:
            break

    assert seen == ["7", "5", "3", "1"]
    assert page["next"] is None


def test_a_page_of_large_events_ends_early(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    send(api, [{**ONE, "id": str(number), "data": "x" * 500} for number in range(3)], BATCH)
    monkeypatch.setattr(reception, "MOST_BYTES", 1)

    page = api.get("/events").json

    assert [item["event"]["id"] for item in page["items"]] == ["2"]
    assert [item["event"]["id"] for item in api.get(f"/events?cursor={page['next']}").json["items"]] == ["1"]


def test_events_go_to_namespaces_that_exist_for_the_caller_only(api: Caller) -> None:
    limited = caller("operator", "a")

    assert limited.post("/events?namespace=b", ONE, Content_Type=STRUCTURED).status == 404
    assert limited.post("/events?namespace=a", ONE, Content_Type=STRUCTURED).status == 202
    assert limited.post("/events", {**ONE, "id": "2"}, Content_Type=STRUCTURED).status == 202


def test_namespaces_may_have_buses_of_their_own(api: Caller, configure: Any) -> None:
    configure({"lemline.events.scope": "namespace"})
    limited = caller("operator", "a")

    assert send(limited, ONE).json["accepted"] == 1
    assert send(api, ONE).json["accepted"] == 1
    assert api.post("/events?namespace=b", ONE, Content_Type=STRUCTURED).json["accepted"] == 1

    assert [item["namespace"] for item in limited.get("/events").json["items"]] == ["a"]
    assert [item["namespace"] for item in api.get("/events").json["items"]] == ["b", "default", "a"]


def test_too_many_that_wait_are_answered_with_when_to_come_again(api: Caller, configure: Any) -> None:
    configure({"lemline.event-processor.max-events": "1"})
    models.PendingEvent.objects.create(lane=0, event=2**40)

    refused = send(api, ONE)
    models.PendingEvent.objects.all().delete()

    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert "lemline.event-processor.max-events" in refused.json["detail"]
    assert send(api, ONE).status == 202
