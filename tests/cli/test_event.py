"""`event publish|list|listen`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Lemline
from tests.doors import ROOT
from workflows import models
from workflows.cli.exits import Exit
from workflows.runtime import events, reception
from workflows.runtime.reception import EventFilter

ONE: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/orders", "type": "order.placed"}


def test_an_event_of_flags_is_published_and_listed(stored: str, lemline: Lemline) -> None:
    done = lemline(
        "event", "publish", "--type", "order.placed", "--source", "/orders", "--subject", "7",
        "--data", '{"price": 1.10}', "--attribute", "region=eu",
    )  # fmt: skip
    listed = lemline("events", "list")
    [item] = lemline("events", "list", "--type", "order.placed", "--format", "json").json["items"]

    assert (done.code, done.out.split()) == (Exit.OK, ["accepted", "1", "duplicates", "0"])
    assert "order.placed  /orders" in listed.out
    assert item["event"]["data"] == {"price": 1.1}
    assert (item["event"]["subject"], item["event"]["region"], item["event"]["specversion"]) == ("7", "eu", "1.0")
    assert models.ReceivedEvent.objects.count() == 1


@pytest.mark.parametrize("events", [ONE, [ONE, {**ONE, "id": "2"}]])
def test_events_of_a_file_or_of_stdin_are_published_once(
    stored: str, lemline: Lemline, file: Callable[..., Path], events: Any
) -> None:
    text = json.dumps(events)
    count = len(events) if isinstance(events, list) else 1

    first = lemline("event", "publish", "--file", file(text, "events.json"), "--format", "json").json
    again = lemline("event", "publish", "-f", "-", "--format", "json", stdin=text).json

    assert (first, again) == ({"accepted": count, "duplicates": 0}, {"accepted": 0, "duplicates": count})


def test_a_listener_shows_what_is_received_from_then_on(
    stored: str, lemline: Lemline, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.receive([{**ONE, "id": "before"}], namespace="default", by="")
    looks = iter([["2", "3"], ["other"], ["4"]])

    def receive_more(seconds: float) -> None:
        for name in next(looks):
            kind = "other" if name == "other" else "order.placed"
            events.receive([{**ONE, "id": name, "type": kind, "data": 1}], namespace="default", by="")

    monkeypatch.setattr("workflows.cli.event.time.sleep", receive_more)
    done = lemline("events", "listen", "--type", "order.placed", "--count", "3")

    lines = [line.split()[1:] for line in done.out.splitlines()]
    assert lines == [["order.placed", "/orders", name, "1"] for name in "234"]


@pytest.mark.parametrize("recent", [3, 1000])
def test_a_listener_shows_each_event_once_though_many_come_and_some_late(
    stored: str, monkeypatch: pytest.MonkeyPatch, recent: int
) -> None:
    monkeypatch.setattr(reception, "RECENT", recent)
    following = reception.Following(EventFilter(), actor=ROOT)
    for start in (0, 4, 8):
        events.receive([{**ONE, "id": str(number)} for number in range(start, start + 4)], namespace="default", by="")
    late = models.ReceivedEvent.objects.get(event_id="10")
    models.ReceivedEvent.objects.filter(pk=late.pk).delete()

    shown = [view.row.event_id for view in iter_all(following)]
    models.ReceivedEvent.objects.bulk_create([late])

    assert shown == [str(number) for number in range(12) if number != 10]
    assert [view.row.event_id for view in iter_all(following)] == ["10"]
    assert following.read() == []


def iter_all(following: reception.Following) -> Iterator[reception.ReceivedView]:
    while views := following.read():
        yield from views


MISTAKES: list[tuple[tuple[str, ...], str, Exit, str]] = [
    ((), "", Exit.USAGE, "--type and --source, or --file"),
    (("--type", "a"), "", Exit.USAGE, "--type and --source"),
    (("--type", "a", "--file", "-"), "", Exit.USAGE, "not both"),
    (("--type", "a", "--source", "b", "--data", "text"), "", Exit.VALIDATION, "--data is not JSON"),
    (("--type", "a", "--source", "b", "--attribute", "Big=1"), "", Exit.VALIDATION, "/Big"),
    (("--type", "a", "--source", "b", "--attribute", "big"), "", Exit.USAGE, "write name=text"),
    (("--file", "-"), "{", Exit.VALIDATION, "- is not JSON"),
    (("--file", "-"), '[{"id": "1"}]', Exit.VALIDATION, "/0/source: is missing"),
    (("--file", "nowhere.json"), "", Exit.NOT_FOUND, "there is no file nowhere.json"),
]


@pytest.mark.parametrize(("arguments", "stdin", "code", "message"), MISTAKES)
def test_mistakes(
    stored: str, lemline: Lemline, arguments: tuple[str, ...], stdin: str, code: Exit, message: str
) -> None:
    done = lemline("event", "publish", *arguments, stdin=stdin)

    assert done.code == code
    assert message in done.err
    assert models.ReceivedEvent.objects.count() == 0
