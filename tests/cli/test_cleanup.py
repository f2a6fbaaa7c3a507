"""`admin cleanup`."""

from datetime import timedelta

from django.utils import timezone

from tests.cli.conftest import Lemline
from workflows import models
from workflows.cli.exits import Exit


def store_old_entry() -> None:
    at = timezone.now() - timedelta(days=91)
    models.AuditEntry.objects.create(at=at, by="ada", action="a", subject="old")


def test_cleanup_counts_what_would_go(lemline: Lemline, stored: str):
    store_old_entry()

    done = lemline("admin", "cleanup", "--dry-run", "--format", "json")

    nothing = dict.fromkeys(("instances", "history", "events", "rejected", "keys", "fires", "heard", "gatherings"), 0)
    assert done.json == {**nothing, "audit": 1}
    assert models.AuditEntry.objects.get().subject == "old"


def test_cleanup_removes_it_once_it_is_confirmed_and_says_who_did(lemline: Lemline, stored: str):
    store_old_entry()

    refused = lemline("admin", "cleanup")
    done = lemline("admin", "cleanup", "--yes")

    assert (refused.code, done.code) == (Exit.USAGE, Exit.OK)
    assert "longer ago than P7D" in refused.err
    assert ["audit", "1"] in [line.split() for line in done.out.splitlines()]
    entry = models.AuditEntry.objects.get()
    assert (entry.action, entry.door) == ("retention.cleanup", "cli")
    assert "1 audit" in entry.subject
