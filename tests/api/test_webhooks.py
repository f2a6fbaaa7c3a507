"""`/webhooks` and `/hooks/{name}`: JSON of others becomes CloudEvents."""

import time
from typing import Any

import pytest

from tests.doors import Caller, caller
from workflows import models
from workflows.dsl import jsontext
from workflows.dsl.jsontext import decode
from workflows.runtime.signatures import SCHEMES, sign

KEY = "a key of both"
HOOK: dict[str, Any] = {"name": "shop", "mapping": {"type": "shop.order.${ .kind }"}}
SIGNED = {**HOOK, "signature": {"secret": "shop", "scheme": "standard-webhooks"}}
PAID = {"kind": "paid", "order": 7}

nobody = Caller(None)


def stored() -> list[Any]:
    return [decode(bytes(row.event)) for row in models.ReceivedEvent.objects.order_by("pk")]


def signature(body: bytes, message_id: str, seconds_ago: int = 0) -> dict[str, str]:
    at = str(round(time.time()) - seconds_ago)
    text = sign(SCHEMES["standard-webhooks"], KEY.encode(), body, timestamp=at, message_id=message_id)
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": text}


@pytest.fixture
def signed(api: Caller, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """An administrator, beside a webhook that takes what is signed."""
    monkeypatch.setenv("LEMLINE_SECRET_SHOP", KEY)
    assert api.post("/webhooks", SIGNED).status == 201
    return api


def test_what_is_signed_is_stored_as_an_event(signed: Caller) -> None:
    body = jsontext.encode(PAID)

    answer = nobody.post("/hooks/shop", body, **signature(body, "msg_1"))

    assert (answer.status, answer.json) == (
        202,
        {
            "accepted": 1,
            "duplicates": 0,
            "event": {"id": "msg_1", "source": "/api/v1/hooks/shop", "type": "shop.order.paid"},
        },
    )
    [event] = stored()
    assert event.pop("time").endswith("Z")
    assert event == {
        "specversion": "1.0", "id": "msg_1", "source": "/api/v1/hooks/shop", "type": "shop.order.paid",
        "datacontenttype": "application/json", "data": PAID,
    }  # fmt: skip
    assert models.ReceivedEvent.objects.get().by == "webhook shop"


def test_a_message_that_is_sent_again_is_taken_once(signed: Caller) -> None:
    body = jsontext.encode(PAID)

    answers = [nobody.post("/hooks/shop", body, **signature(body, "msg_1")).json for _ in range(2)]

    assert [(each["accepted"], each["duplicates"]) for each in answers] == [(1, 0), (0, 1)]
    assert len(stored()) == 1


def test_a_replay_after_five_minutes_is_refused(signed: Caller) -> None:
    answer = nobody.post("/hooks/shop", b"{}", **signature(b"{}", "msg_1", seconds_ago=400))

    assert answer.status == 401
    assert "s ago; 300 s are allowed" in answer.json["detail"]
    assert stored() == []


def test_a_changed_body_is_refused_and_says_which_header_counts(signed: Caller) -> None:
    answer = nobody.post("/hooks/shop", b'{"kind": "free"}', **signature(b'{"kind": "paid"}', "msg_1"))

    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert "signed in webhook-signature: the signature" in answer.json["detail"]
    assert KEY not in answer.bytes.decode()
    assert answer.headers["WWW-Authenticate"] == 'Signature header="webhook-signature"'
    assert stored() == []


def test_an_api_key_does_not_stand_in_for_a_signature(signed: Caller) -> None:
    assert signed.post("/hooks/shop", PAID).status == 401


@pytest.mark.parametrize("secret", [None, "", "whsec_%"])
def test_without_its_secret_a_webhook_asks_to_be_tried_again(
    signed: Caller, monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    monkeypatch.delenv("LEMLINE_SECRET_SHOP")
    if secret is not None:
        monkeypatch.setenv("LEMLINE_SECRET_SHOP", secret)

    answer = nobody.post("/hooks/shop", b"{}", **signature(b"{}", "msg_1"))

    assert answer.status == 503
    assert answer.json["detail"].startswith("The secret of the webhook 'shop' cannot be used")
    assert "Retry-After" in answer.headers


def test_without_a_signature_of_its_own_a_webhook_takes_a_key(api: Caller) -> None:
    api.post("/webhooks", HOOK)

    assert nobody.post("/hooks/shop", PAID).status == 401
    assert caller("viewer").post("/hooks/shop", PAID).status == 403
    assert caller("operator", "elsewhere").post("/hooks/shop", PAID).status == 404
    assert api.post("/hooks/nowhere", PAID).status == 404
    assert api.post("/hooks/shop", PAID).status == 202


def test_the_same_body_is_one_event_unless_its_key_says_otherwise(api: Caller) -> None:
    api.post("/webhooks", HOOK)

    for headers in ({}, {}, {"Idempotency-Key": "1"}, {"Idempotency-Key": "1"}, {"Idempotency-Key": "2"}):
        api.post("/hooks/shop", PAID, **headers)

    assert [event["id"].partition(":")[0] for event in stored()] == ["sha256", "1", "2"]


def test_a_mapping_makes_any_attribute_of_body_headers_and_query(api: Caller) -> None:
    mapping = {
        "id": "${ .order.id }",
        "source": "/shops/${ $query.shop }",
        "type": '${ $headers["x-topic"] | gsub("/"; ".") }',
        "subject": "${ .order.customer }",
        "time": "${ .at }",
        "traceparent": "${ $headers.traceparent }",
        "tries": "${ .order.tries }",
        "data": {"total": "${ [.order.lines[].price] | add }", "kind": "order"},
    }
    api.post("/webhooks", {**HOOK, "mapping": mapping})
    body = {
        "order": {"id": 7, "customer": "ada", "lines": [{"price": 2}, {"price": 3}], "tries": 1},
        "at": "2026-01-31T12:00:00+01:00",
    }

    answer = api.post("/hooks/shop?shop=berlin", body, X_Topic="orders/create")

    assert answer.status == 202
    assert stored() == [
        {
            "specversion": "1.0", "id": "7", "source": "/shops/berlin", "type": "orders.create", "subject": "ada",
            "time": "2026-01-31T12:00:00+01:00", "tries": 1, "datacontenttype": "application/json",
            "data": {"total": 5, "kind": "order"},
        }
    ]  # fmt: skip


def test_no_event_carries_what_lets_somebody_in(api: Caller) -> None:
    api.post("/webhooks", {**HOOK, "mapping": {"type": "t", "data": "${ $headers }"}})

    api.post("/hooks/shop", PAID, Cookie="sessionid=1")

    [event] = stored()
    assert "content-type" in event["data"]
    assert {"authorization", "cookie"} & event["data"].keys() == set()


def test_where_its_condition_does_not_hold_there_is_no_event(api: Caller) -> None:
    api.post("/webhooks", {**HOOK, "when": '${ .kind != "ping" }'})

    ping, paid = api.post("/hooks/shop", {"kind": "ping"}), api.post("/hooks/shop", PAID)

    assert (ping.status, ping.json) == (202, {"accepted": 0, "duplicates": 0, "event": None})
    assert paid.json["accepted"] == 1


BODIES: list[tuple[dict[str, Any], Any, str, str]] = [
    ({"mapping": {"type": "${ .kind }"}}, {}, "/mapping/type", "is empty for this body"),
    ({"mapping": {"type": "${ .kind.name }"}}, PAID, "/mapping/type", "kind"),
    ({"mapping": {"type": "${ . }"}}, PAID, "/mapping/type", "has to be a text, not an object"),
    ({"mapping": {"type": "t", "id": "${ [1] }"}}, PAID, "/mapping/id", "has to be a text, not an array"),
    ({"mapping": {"type": "t", "time": "soon"}}, PAID, "/time", "write RFC 3339"),
    ({"mapping": {"type": "t", "id": "${ \"x\" * 2000 }"}}, PAID, "/id", "longer than 1000 bytes"),
    ({"mapping": {"type": "t"}, "when": "${ .kind.name }"}, PAID, "/when", "kind"),
    ({"mapping": {"type": "t"}, "when": "${ .kind }"}, PAID, "/when", ""),
]  # fmt: skip


@pytest.mark.parametrize(("hook", "body", "pointer", "message"), BODIES)
def test_a_body_that_makes_no_event_is_told_why(
    api: Caller, hook: dict[str, Any], body: Any, pointer: str, message: str
) -> None:
    assert api.post("/webhooks", {**HOOK, **hook}).status == 201

    answer = api.post("/hooks/shop", body)

    assert answer.status == 400
    [error] = answer.json["errors"]
    assert (error["pointer"], message in error["message"]) == (pointer, True)
    assert stored() == []


def test_what_is_no_json_or_too_large_is_refused(api: Caller) -> None:
    api.post("/webhooks", HOOK)

    text, large = api.post("/hooks/shop", b"kind=paid"), api.post("/hooks/shop", {**PAID, "x": "x" * 2**21})

    assert (text.status, "The body is not JSON" in text.json["detail"]) == (400, True)
    assert (large.status, "`lemline.limits.event`" in large.json["detail"]) == (413, True)


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "Shop"}, "/name", "small letters"),
    ({"name": ""}, "/name", "small letters"),
    ({"name": "a/b"}, "/name", "small letters"),
    ({"mapping": {}}, "/mapping", "type is missing"),
    ({"mapping": {"type": "${ .a | }"}}, "/mapping/type", ""),
    ({"mapping": {"type": "${ $context.a }"}}, "/mapping/type", "$context is not defined here; there are $headers"),
    ({"mapping": {"type": "t", "data": {"a": ["${ frob }"]}}}, "/mapping/data", "frob"),
    ({"mapping": {"type": "t", "orderId": "1"}}, "/mapping/orderId", "small letters and digits"),
    ({"mapping": {"type": "t", "specversion": "1.0"}}, "/mapping/specversion", "is 1.0 in each event"),
    ({"when": "${ $input }"}, "/when", "$input is not defined here"),
    ({"signature": {"secret": "s"}}, "/signature", "name the header"),
    ({"signature": {"secret": "s", "scheme": "github", "prefix": "x"}}, "/signature", "github says that itself"),
    ({"signature": {"secret": "s", "scheme": "gitlab"}}, "/signature/scheme", "github"),
    ({"signature": {"secret": "s", "header": "X", "algorithm": "md5"}}, "/signature/algorithm", "sha256"),
    ({"signature": {"secret": "s", "header": "X Y"}}, "/signature/header", ""),
    ({"signature": {"secret": "s", "header": "X", "signed": "{id}.{body}"}}, "/signature/idHeader", "which header"),
    ({"signature": {"secret": "s", "scheme": "github", "tolerance": "PT0S"}}, "/signature", "above zero"),
    ({"secret": "s"}, "/secret", ""),
]


@pytest.mark.parametrize(("change", "pointer", "message"), MISTAKES)
def test_a_webhook_that_cannot_work_is_refused_when_it_is_made(
    api: Caller, change: dict[str, Any], pointer: str, message: str
) -> None:
    answer = api.post("/webhooks", {**HOOK, **change})

    assert answer.status == 400
    [error] = answer.json["errors"]
    assert (error["pointer"], message in error["message"]) == (pointer, True)
    assert api.get("/webhooks").json["items"] == []


def test_all_mistakes_of_a_mapping_are_told_at_once(api: Caller) -> None:
    answer = api.post("/webhooks", {**HOOK, "mapping": {"id": "${ . | }", "Type": "t"}, "when": "${ $x }"})

    assert {error["pointer"] for error in answer.json["errors"]} == {
        "/mapping/Type", "/mapping", "/mapping/id", "/when",
    }  # fmt: skip


def test_a_webhook_is_shown_without_its_secret_and_deleted(signed: Caller) -> None:
    shown = signed.get("/webhooks/shop").json

    assert (shown["path"], shown["signature"]["secret"], shown["signature"]["toleranceSeconds"]) == (
        "/api/v1/hooks/shop", "shop", 300,
    )  # fmt: skip
    assert signed.get("/webhooks").json["items"] == [shown]
    assert signed.delete("/webhooks/shop").status == 204
    assert signed.get("/webhooks/shop").status == 404
    assert nobody.post("/hooks/shop", b"{}", **signature(b"{}", "1")).status == 401
    assert [*models.AuditEntry.objects.order_by("pk").values_list("action", "subject")][-2:] == [
        ("webhook.create", "shop"), ("webhook.delete", "shop"),
    ]  # fmt: skip


def test_the_same_webhook_is_made_once_and_another_takes_force(api: Caller) -> None:
    api.post("/webhooks", HOOK)
    other = {**HOOK, "mapping": {"type": "other"}}

    assert api.post("/webhooks", HOOK).status == 200
    assert api.post("/webhooks", other).status == 409
    assert api.post("/webhooks?force=true", other).status == 201
    assert api.post("/hooks/shop", PAID).json["event"]["type"] == "other"


def test_webhooks_of_foreign_namespaces_do_not_exist(api: Caller) -> None:
    api.post("/webhooks", {**HOOK, "namespace": "a"})
    limited = caller("admin", "b")

    assert limited.get("/webhooks").json["items"] == []
    assert (limited.get("/webhooks/shop").status, limited.delete("/webhooks/shop").status) == (404, 404)
    assert limited.post("/webhooks", {**HOOK, "name": "own", "namespace": "a"}).status == 404
    assert limited.post("/webhooks?force=true", {**HOOK, "namespace": "b"}).status == 409
    assert api.get("/webhooks/shop").status == 200


def test_pages_give_each_webhook_once(api: Caller) -> None:
    for name in "abc":
        api.post("/webhooks", {**HOOK, "name": name})

    first = api.get("/webhooks?limit=2").json
    second = api.get(f"/webhooks?limit=2&cursor={first['next']}").json

    assert [item["name"] for item in (*first["items"], *second["items"])] == ["a", "b", "c"]
    assert second["next"] is None
