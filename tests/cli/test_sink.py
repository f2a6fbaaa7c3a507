"""`sink list|get|add|change|remove`, and events among the dead letters."""

from uuid import UUID

import pytest

from tests.cli.conftest import Lemline
from tests.sinks import lose, sink, tell
from workflows.cli.exits import Exit
from workflows.models import AuditEntry, OutgoingEvent, Sink

ONE = UUID(int=1)


def test_a_sink_is_added_listed_and_changed(stored: str, lemline: Lemline) -> None:
    made = lemline(
        "sink", "add", "mail", "https://mail.example", "--binary", "--kind", "lifecycle", "--filter", "type=a",
        "--filter", "type=b*", "--secret", "sign", "--reason", "new", "--format", "json",
    )  # fmt: skip
    shown = lemline("sinks", "list")
    changed = lemline("sink", "change", "mail", "redis://host?stream=x", "--format", "json").json

    row = Sink.objects.get()
    assert (made.code, made.json["filter"], made.json["secret"]) == (Exit.OK, {"type": ["a", "b*"]}, "sign")
    assert "mail  https://mail.example  lifecycle  ready" in shown.out
    assert (changed["url"], row.mode, row.kinds, row.filter) == ("redis://host?stream=x", "structured", ["emit"], {})
    assert AuditEntry.objects.get(action="sink.add").reason == "new"
    assert lemline("sink", "get", "mail", "--format", "json").json == changed


def test_a_sink_goes_only_with_what_may_be_thrown_away(stored: str, lemline: Lemline) -> None:
    tell(sink(), ONE, 1)

    refused = lemline("sink", "remove", "out")
    done = lemline("sink", "remove", "out", "--discard", "--yes")

    assert (refused.code, "1 events" in refused.err) == (Exit.OTHER, True)
    assert (done.code, "1 events with it" in done.err) == (Exit.OK, True)
    assert not Sink.objects.exists()


def test_a_lost_event_is_listed_and_redelivered(stored: str, lemline: Lemline) -> None:
    lost = lose(sink(), ONE, 1)

    listed = lemline("admin", "dead-letters", "list")
    done = lemline("admin", "dead-letters", "redeliver", f"event-{lost.pk}", "--reason", "mended")

    assert f"event-{lost.pk}  event  tests/played:1.0.0" in listed.out
    assert (done.code, "on its way to out" in done.err) == (Exit.OK, True)
    assert OutgoingEvent.objects.get().given_up_at is None


MISTAKES = [
    (("get", "none"), Exit.NOT_FOUND, "the sink none does not exist"),
    (("add", "x", "mail.example"), Exit.VALIDATION, "nothing that events are sent to"),
    (("add", "x", "https://h", "--filter", "type"), Exit.USAGE, "write attribute=text"),
    (("add", "x", "https://h", "--kind", "all"), Exit.USAGE, "emit"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES)
def test_mistakes(stored: str, lemline: Lemline, arguments: tuple[str, ...], code: Exit, message: str) -> None:
    done = lemline("sink", *arguments)

    assert (done.code, message in done.err) == (code, True), done.err
