"""The page of webhooks."""

from django.test import Client

from tests.admin.conftest import STEER, browser_of
from tests.doors import ROOT
from workflows import models
from workflows.runtime import webhooks
from workflows.runtime.signatures import SCHEMES
from workflows.runtime.webhooks import Signature, WebhookRequest


def make(name: str, namespace: str) -> int:
    signature = Signature(secret="shop", scheme=SCHEMES["github"], name="github")
    wanted = WebhookRequest(name=name, namespace=namespace, mapping={"type": "<b>"}, signature=signature)
    return webhooks.create_webhook(wanted, actor=ROOT)[0].row.pk


def delete(browser: Client, *keys: int) -> int:
    data = {"action": "close", "_selected_action": keys, "reason": "no longer"}
    return browser.post("/admin/workflows/webhook/", data).status_code


def test_a_webhook_is_shown_and_deleted_with_a_reason(browser: Client) -> None:
    key = make("shop", "a")

    listed = browser.get("/admin/workflows/webhook/").content.decode()
    shown = browser.get(f"/admin/workflows/webhook/{key}/change/").content.decode()
    delete(browser, key)

    assert "github, secret shop" in listed
    assert "/api/v1/hooks/shop" in listed
    assert "&lt;b&gt;" in shown
    assert models.Webhook.objects.count() == 0
    assert models.AuditEntry.objects.get(action="webhook.delete").reason == "no longer"


def test_who_may_not_edit_or_not_see_deletes_none(browser: Client) -> None:
    keys = make("shop", "a"), make("other", "b")

    delete(browser_of("ada", *STEER, "view_webhook"), *keys)
    delete(browser_of("bob", *STEER, "view_webhook", "add_definition", groups=("namespace:a",)), *keys)

    assert [row.name for row in models.Webhook.objects.all()] == ["other"]
