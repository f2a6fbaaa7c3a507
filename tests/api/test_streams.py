"""`/events/stream`: what is sent, to whom, and what a stream takes of its process."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.test import Client

from tests.doors import ECHO, FAILING, SLEEPER, Answer, Caller, caller, register, start
from workflows.api import streams
from workflows.dsl import jsontext

Configure = Callable[[Mapping[str, str]], None]


class Reader:
    """Somebody who opens streams."""

    def __init__(self, who: Caller) -> None:
        self._headers = who._headers
        self._client = Client()
        self._open: list[Any] = []

    def open(self, query: str = "", method: str = "GET", **headers: str) -> Any:
        """Return the response; its content is still to come."""
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        response = self._client.generic(method, f"/api/v1/events/stream{query}", headers=sent)
        self._open.append(response)
        return response

    def read(self, response: Any, count: int) -> list[tuple[str, dict[str, Any]]]:
        """Return so many events, each with its id."""
        found: list[tuple[str, dict[str, Any]]] = []
        for block in response.streaming_content:
            fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if line)
            if "data" in fields:
                event = jsontext.decode(fields["data"])
                assert fields["event"] == event["type"]
                found.append((fields["id"], event))
            if len(found) == count:
                return found
        return found

    def close(self) -> None:
        for response in self._open:
            response.close()


@pytest.fixture
def reader(api: Caller) -> Iterator[Reader]:
    made = Reader(api)
    yield made
    made.close()


def kinds(found: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [event["type"].removeprefix("io.serverlessworkflow.").removesuffix(".v1") for _, event in found]


def test_the_life_of_one_instance_is_sent_from_its_begin(reader: Reader) -> None:
    register(ECHO)
    made = start(input=b'{"n": 1}').id

    response = reader.open(f"?instance={made}")
    found = reader.read(response, 5)

    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    assert kinds(found) == [
        "workflow.started", "task.created", "task.started", "task.completed", "workflow.completed",
    ]  # fmt: skip
    assert found[-1][1]["data"]["output"] == {"n": 1}


def test_a_reader_that_comes_again_gets_what_it_has_not_had(reader: Reader) -> None:
    register(ECHO)
    made = start().id
    found = reader.read(reader.open(f"?instance={made}"), 5)

    again = reader.read(reader.open(f"?instance={made}", Last_Event_ID=found[1][0]), 3)
    anyone = reader.read(reader.open(Last_Event_ID=found[2][0]), 2)

    assert (again, anyone) == (found[2:], found[3:])


def test_without_a_place_only_what_comes_is_sent(reader: Reader) -> None:
    register(ECHO)
    start()
    response = reader.open()
    made = start().id

    found = reader.read(response, 5)

    assert {event["subject"] for _, event in found} == {made}


def test_types_are_chosen_in_full_or_short(reader: Reader) -> None:
    register(FAILING)
    made = start().id

    full = "io.serverlessworkflow.workflow.faulted.v1"
    found = reader.read(reader.open(f"?instance={made}&type={full}&type=task.faulted"), 2)

    assert kinds(found) == ["task.faulted", "workflow.faulted"]


def test_a_workflow_is_chosen_by_its_name(reader: Reader) -> None:
    register(ECHO)
    register(ECHO, name="other")
    response = reader.open("?workflow=tests/other")
    start()
    made = start("other").id

    assert {event["subject"] for _, event in reader.read(response, 5)} == {made}


def test_status_changes_are_sent_where_that_is_set(reader: Reader, configure: Configure) -> None:
    register(ECHO)
    made = start().id
    query = f"?instance={made}&type=workflow.status-changed"
    refused = reader.open(query)

    configure({"lemline.events.lifecycle.status-changed": "true"})
    found = reader.read(reader.open(query), 2)

    assert refused.status_code == 400
    assert "lemline.events.lifecycle.status-changed" in jsontext.decode(refused.content)["detail"]
    assert [event["data"]["status"] for _, event in found] == ["running", "completed"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("?type=task.finished", "type"), ("?workflow=nameless", "workflow"), ("?kind=task", "kind")],
)
def test_what_cannot_be_meant_is_said(api: Caller, query: str, parameter: str) -> None:
    answer = api.get(f"/events/stream{query}")

    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, parameter)


def test_a_place_that_no_stream_gave_is_refused(api: Caller) -> None:
    answer = api.get("/events/stream", Last_Event_ID="yesterday")

    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, "Last-Event-ID")
    assert "yesterday" in answer.json["detail"]


def test_foreign_namespaces_are_not_told_of(api: Caller) -> None:
    register(ECHO)
    foreign = Reader(caller("viewer", "other"))
    response = foreign.open()
    made = start().id
    register(ECHO, namespace="other")
    own = start(namespace="other").id

    assert {event["subject"] for _, event in foreign.read(response, 5)} == {own}
    assert foreign.open(f"?instance={made}").status_code == 404
    foreign.close()


def test_more_streams_than_are_served_are_told_to_come_again(reader: Reader, configure: Configure) -> None:
    configure({"lemline.events.lifecycle.streams": "2"})
    held = [reader.open(), reader.open()]

    refused = Answer(reader.open())
    held[0].close()

    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert reader.open().status_code == 200


def test_only_the_head_of_a_stream_holds_nothing(reader: Reader, configure: Configure) -> None:
    configure({"lemline.events.lifecycle.streams": "1"})

    for _ in range(3):
        response = reader.open(method="HEAD")
        assert (response.status_code, b"".join(response.streaming_content)) == (200, b"")
        response.close()


def test_a_server_that_stops_ends_its_streams(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    register(SLEEPER)
    response = reader.open()
    monkeypatch.setattr(streams.SERVING, "goes_on", lambda: False)

    assert reader.read(response, 1) == []
