"""`/sinks`: where events are sent, who says so, and what is answered."""

from typing import Any
from uuid import UUID

import pytest

from tests.doors import Caller, caller, register, start
from tests.sinks import lose, sink, tell
from workflows.models import AuditEntry, OutgoingEvent, Sink

ONE = UUID(int=1)
WHOLE = {
    "name": "mail", "url": "https://mail.example/in", "mode": "binary", "kinds": ["emit", "lifecycle"],
    "namespace": "tests", "workflow": "order", "filter": {"type": ["com.acme.*", "x"]}, "secret": "sign",
    "credentials": "door",
}  # fmt: skip
EMIT = "do: [{tell: {emit: {event: {with: {source: 'https://a.example', type: com.acme.told}}}}}]"


def test_a_sink_is_added_shown_and_recorded(api: Caller) -> None:
    made = api.post("/sinks", {**WHOLE, "reason": "new shop"})

    assert (made.status, made.headers["Location"]) == (201, "/api/v1/sinks/mail")
    fresh = {
        "status": "ready", "problem": None, "failures": 0, "restingUntil": None, "waiting": 0, "waitingSince": None,
        "deadLetters": 0, "delivered": 0, "deliveredAt": None,
    }  # fmt: skip
    assert {**WHOLE, **fresh}.items() <= made.json.items()
    assert api.get("/sinks/mail").json == made.json
    assert api.get("/sinks").json == {"items": [made.json], "next": None}
    entry = AuditEntry.objects.get(action="sink.add")
    assert (entry.subject, entry.reason) == ("mail https://mail.example/in", "new shop")


def test_a_new_sink_gets_what_is_emitted_from_then_on_and_shows_what_waits(api: Caller) -> None:
    register(EMIT)
    start()
    api.post("/sinks", {"name": "out", "url": "https://sink.example", "filter": {"type": "com.acme.*"}})

    start()

    shown = api.get("/sinks/out").json
    assert (shown["waiting"], shown["delivered"]) == (1, 0)
    assert shown["waitingSince"] is not None


def test_a_change_keeps_what_waits_and_has_it_tried_at_once(api: Caller) -> None:
    out = sink(failures=7, problem="nobody answers", kinds=["emit", "lifecycle"])
    tell(out, ONE, 1, 2)

    changed = api.ask("PUT", "/sinks/out", {"url": "https://other.example"})

    assert (changed.status, changed.json["url"], changed.json["kinds"]) == (200, "https://other.example", ["emit"])
    assert (changed.json["status"], changed.json["waiting"], changed.json["problem"]) == ("ready", 2, None)
    assert api.ask("PUT", "/sinks/none", {"url": "https://other.example"}).status == 404


def test_a_sink_goes_only_with_what_may_be_thrown_away(api: Caller) -> None:
    out = sink()
    tell(out, ONE, 1, 2)
    lose(out, ONE, 3)

    refused = api.delete("/sinks/out")
    done = api.delete("/sinks/out?discard=true")

    assert refused.status == 409
    assert "2 events and 1 dead letters" in refused.json["detail"]
    assert (done.status, done.json) == (200, {"discarded": 3})
    assert not OutgoingEvent.objects.exists()
    assert api.get("/sinks/out").status == 404
    assert "3 events thrown away" in AuditEntry.objects.get(action="sink.remove").reason


def test_two_of_one_name_conflict(api: Caller) -> None:
    sink()

    assert api.post("/sinks", {"name": "out", "url": "https://sink.example"}).status == 409


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "Mail!"}, "/name"),
        ({"url": "ftp://mail.example"}, "/url"),
        ({"url": "https://me:secret@mail.example"}, "/url"),
        ({"url": "redis://mail.example"}, "/url"),
        ({"mode": "batch"}, "/mode"),
        ({"kinds": []}, "/kinds"),
        ({"kinds": ["all"]}, "/kinds/0"),
        ({"filter": {"type": []}}, "/filter/type"),
        ({"filter": {"type": ["a*b"]}}, "/filter/type"),
        ({"filter": {"Type": ["a"]}}, "/filter/Type"),
        ({"secret": "a/b"}, "/secret"),
        ({"colour": "red"}, "/colour"),
        ({"url": None}, "/url"),
    ],
)
def test_what_cannot_be_is_refused_with_where_and_why(api: Caller, change: dict[str, Any], pointer: str) -> None:
    answer = api.post("/sinks", {**WHOLE, **change})

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, pointer)
    assert not Sink.objects.exists()


def test_sinks_of_other_namespaces_do_not_exist_for_whoever_is_limited(api: Caller) -> None:
    sink()
    sink(name="theirs", namespace="others")
    sink(name="own", namespace="tests")
    limited = caller("admin", "tests")

    assert [item["name"] for item in limited.get("/sinks").json["items"]] == ["own"]
    assert limited.get("/sinks/out").status == limited.delete("/sinks/theirs").status == 404
    everything = limited.post("/sinks", {"name": "all", "url": "https://sink.example"})
    assert (everything.status, everything.json["errors"][0]["pointer"]) == (400, "/namespace")


def test_events_that_were_given_up_are_dead_letters_beside_instances(api: Caller) -> None:
    first, second = lose(sink(), ONE, 1), lose(sink(name="two"), ONE, 2)

    items = api.get("/dead-letters?kind=event").json["items"]

    assert [item["id"] for item in items] == [f"event-{second.pk}", f"event-{first.pk}"]
    shown = items[1]
    assert (shown["kind"], shown["sink"], shown["instance"], shown["attempts"]) == ("event", "out", str(ONE), 20)
    assert shown["reason"] == "the sink out refused it 20 times: POST https://sink.example: 400 no"
    assert shown["event"]["data"] == 1
    assert api.get("/dead-letters").json["items"] == items
    assert api.get("/dead-letters?kind=instance").json["items"] == []
    assert caller("viewer", "others").get("/dead-letters").json["items"] == []


def test_an_event_is_redelivered_once_and_that_is_recorded(api: Caller) -> None:
    lost = lose(sink(), ONE, 1)
    path = f"/dead-letters/event-{lost.pk}/redeliver"

    edited = api.post(path, {"input": {}})
    done, again = api.post(path, {"reason": "mended"}), api.post(path)

    assert (edited.status, edited.json["errors"][0]["pointer"]) == (400, "/input")
    assert (done.status, done.json["id"], again.status) == (202, f"event-{lost.pk}", 404)
    row = OutgoingEvent.objects.get()
    assert (row.given_up_at, row.attempts) == (None, 0)
    assert AuditEntry.objects.get(action="event.redeliver").reason == "mended"
    assert api.post("/dead-letters/event-x/redeliver").status == 404
    assert caller("operator", "others").post(path).status == 404
