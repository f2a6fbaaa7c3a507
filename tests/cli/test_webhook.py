"""`webhook create|list|get|delete|test`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Lemline
from workflows import models
from workflows.cli.exits import Exit

HOOK: dict[str, Any] = {
    "name": "shop",
    "mapping": {"type": "shop.${ .kind }", "subject": "${ $query.shop }"},
    "when": '${ .kind != "ping" }',
    "signature": {"secret": "shop", "scheme": "github"},
}


def test_a_webhook_is_made_shown_tried_and_deleted(stored: str, lemline: Lemline, file: Callable[..., Path]) -> None:
    path = file(json.dumps(HOOK), "hook.json")

    made = lemline("webhook", "create", "--file", path, "--format", "json").json
    again = lemline("webhook", "create", "--file", path)
    listed, shown = lemline("webhooks", "list"), lemline("webhook", "get", "shop", "--format", "json").json
    tried = lemline(
        "webhook", "test", "shop", "-f", "-", "--query", "shop=1", "--format", "json", stdin='{"kind":"paid"}'
    )
    ping = lemline("webhook", "test", "shop", "-f", "-", stdin='{"kind":"ping"}')
    deleted = lemline("webhook", "delete", "shop")

    assert made == shown
    assert "it was there already" in again.err
    assert "github, secret shop" in listed.out
    assert (tried.json["type"], tried.json["subject"], tried.json["data"]) == ("shop.paid", "1", {"kind": "paid"})
    assert "no event: the webhook's condition does not hold" in ping.err
    assert deleted.code == Exit.OK
    assert models.Webhook.objects.count() == models.ReceivedEvent.objects.count() == 0


def test_mistakes_are_told_with_their_place(stored: str, lemline: Lemline, file: Callable[..., Path]) -> None:
    path = file(json.dumps({**HOOK, "mapping": {"id": "${ $context }"}}), "hook.json")

    done, missing = lemline("webhook", "create", "--file", path), lemline("webhook", "get", "shop")

    assert (done.code, missing.code) == (Exit.VALIDATION, Exit.NOT_FOUND)
    assert "/mapping: type is missing" in done.err
    assert "/mapping/id: $context is not defined here" in done.err
