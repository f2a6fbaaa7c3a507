"""The pages of received events, of bridges and of what they rejected."""

from django.test import Client

from tests.admin.conftest import VIEW, browser_of
from workflows import models
from workflows.runtime import events, rejections
from workflows.runtime.rejections import Rejected

ONE = {"specversion": "1.0", "id": "one", "source": "/orders", "type": "order.placed"}


def page(browser: Client, table: str, row: int | None = None) -> str:
    answer = browser.get(f"/admin/workflows/{table}/" + (f"{row}/change/" if row else ""))
    return str(answer.content.decode()) if answer.status_code == 200 else str(answer.status_code)


def test_received_events_are_shown_with_their_content(browser: Client) -> None:
    events.receive([{**ONE, "data": {"price": "<b>"}}], namespace="default", by="bridge/b")
    row = models.ReceivedEvent.objects.get()

    listed, shown = page(browser, "receivedevent"), page(browser, "receivedevent", row.pk)

    assert "order.placed" in listed
    assert "bridge/b" in listed
    assert "&lt;b&gt;" in shown
    assert 'name="_save"' not in shown


def test_who_is_limited_to_namespaces_sees_the_shared_bus_and_those(browser: Client) -> None:
    for scope in ("", "a", "b"):
        events.receive([{**ONE, "id": f"event-{scope}"}], namespace="default", by="")
        models.ReceivedEvent.objects.filter(event_id=f"event-{scope}").update(scope=scope)

    ada = browser_of("ada", *VIEW, "view_receivedevent", groups=("namespace:a",))
    listed = page(ada, "receivedevent")

    assert [each for each in ("event-", "event-a", "event-b") if f">{each}<" in listed] == ["event-", "event-a"]
    assert page(ada, "rejectedmessage") == "403"


def test_who_has_no_role_is_limited_all_the_same(browser: Client) -> None:
    events.receive([{**ONE, "id": "event-b"}], namespace="default", by="")
    models.ReceivedEvent.objects.update(scope="b")

    ada = browser_of("ada", "view_receivedevent", groups=("namespace:a",))

    assert ">event-b<" not in page(ada, "receivedevent")


def test_rejected_messages_are_shown_with_the_reason(browser: Client) -> None:
    for body in (b"{<oops>", b"\xff\xfe"):
        told = Rejected(body=body, headers={"ce-id": "1\x00"}, content_type="t", place="q 7", reason="no\x00 event")
        rejections.keep("redis:orders", [told])
        rejections.keep("redis:orders", [told])
    text, binary = models.RejectedMessage.objects.order_by("pk")

    assert "no� event" in page(browser, "rejectedmessage")
    assert "{&lt;oops&gt;" in page(browser, "rejectedmessage", text.pk)
    assert "base64: //4=" in page(browser, "rejectedmessage", binary.pk)


def test_a_bridge_tells_who_takes_and_what_is_in_the_way(browser: Client) -> None:
    models.Bridge.objects.create(name="redis:orders", holder="node/maintenance/7", problem="ConnectionError: away")

    listed = page(browser, "bridge")

    assert "ConnectionError: away" in listed
    assert "node/maintenance/7" not in listed
