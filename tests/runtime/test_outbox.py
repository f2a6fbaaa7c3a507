"""What a step tells is written for the sinks that want it, with the step and with nothing else."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.runtimes import ONE, Runtime, define, lost, once, status_of
from workflows.dsl.jsontext import decode
from workflows.models import OutgoingEvent, Sink
from workflows.runtime import outbox

EMIT = "do: [{tell: {emit: {event: {with: {source: 'https://a.example', type: com.acme.told, data: {n: 1}}}}}}]"


def sink(name: str = "out", **more: Any) -> Sink:
    values = {"url": "https://sink.example", "mode": "structured", "kinds": ["emit"], "created_at": timezone.now()}
    row: Sink = Sink.objects.create(name=name, **{**values, **more})
    return row


def types() -> list[str]:
    return list(OutgoingEvent.objects.order_by("pk").values_list("type", flat=True))


def test_an_emitted_event_is_written_for_each_sink_that_wants_it(runtime: Runtime) -> None:
    wanting, other, _ = sink(), sink("all", kinds=["emit", "lifecycle"]), sink("mail", filter={"type": ["org.*"]})
    define(EMIT)

    made = runtime.start()

    rows = OutgoingEvent.objects.filter(kind="emit").order_by("sink")
    assert [row.sink for row in rows] == [wanting.pk, other.pk]
    assert (str(rows[0].instance), rows[0].namespace, rows[0].workflow) == (made, "tests", "played")
    event = decode(bytes(rows[0].event))
    assert (event["type"], event["data"], rows[0].event_id) == ("com.acme.told", {"n": 1}, event["id"])


def test_emitted_events_and_life_cycle_stand_in_the_order_in_which_they_happened(runtime: Runtime) -> None:
    sink(kinds=["emit", "lifecycle"])
    define(EMIT)

    runtime.start()

    found = [name.removeprefix("io.serverlessworkflow.").removesuffix(".v1") for name in types()]
    assert found.index("task.started") < found.index("com.acme.told") < found.index("task.completed")
    assert (found[0], found[-1]) == ("workflow.started", "workflow.completed")


def test_without_a_sink_nothing_is_written(runtime: Runtime) -> None:
    define(EMIT)

    runtime.start()

    assert OutgoingEvent.objects.count() == 0


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"namespace": "tests"}, 1),
        ({"namespace": "others"}, 0),
        ({"namespace": "tests", "workflow": "played"}, 1),
        ({"workflow": "another"}, 0),
        ({"filter": {"type": ["com.acme.*"]}}, 1),
        ({"filter": {"type": ["com.acme"]}}, 0),
        ({"filter": {"type": ["x", "com.acme.told"], "source": ["https://a.*"]}}, 1),
        ({"filter": {"type": ["*"], "source": ["https://b.*"]}}, 0),
        ({"filter": {"subject": ["*"]}}, 0),
        ({"kinds": ["lifecycle"], "filter": {"type": ["io.serverlessworkflow.workflow.completed.v1"]}}, 1),
    ],
)
def test_a_sink_gets_what_it_wants(runtime: Runtime, wish: dict[str, Any], expected: int) -> None:
    sink(**wish)
    define(EMIT)

    runtime.start()

    assert len(types()) == expected


def test_a_new_sink_counts_from_the_next_look_on(runtime: Runtime) -> None:
    define(EMIT)
    runtime.start()
    sink()

    runtime.process.outbox.forget()
    runtime.start()

    assert types() == ["com.acme.told"]


def test_a_step_that_is_not_committed_tells_nothing(runtime: Runtime) -> None:
    sink(kinds=["lifecycle"], filter={"type": ["io.serverlessworkflow.task.completed*"]})
    define(ONE)
    made = runtime.start()

    with once(runtime.records.before, "save", lost):
        runtime.succeed(made, "work")

    assert status_of(made) == "completed"
    assert types() == ["io.serverlessworkflow.task.completed.v1"]


def test_an_uncertain_commit_tells_once(runtime: Runtime) -> None:
    sink(kinds=["lifecycle"], filter={"type": ["io.serverlessworkflow.task.completed.v1"]})
    define(ONE)
    made = runtime.start()

    with once(runtime.records.after, "save", lost):
        runtime.succeed(made, "work")

    assert types() == ["io.serverlessworkflow.task.completed.v1"]


def test_sinks_that_cannot_be_read_keep_the_step_waiting(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that was written without knowing its sinks would have told nobody, for ever."""
    sink()
    define(EMIT)
    known = runtime.process.outbox
    read, asked = known._find, []

    def away() -> Any:
        asked.append(1)
        return lost() if len(asked) == 1 else read()

    monkeypatch.setattr(known, "_find", away)
    runtime.start()

    assert (len(asked), types()) == (2, ["com.acme.told"])


def test_with_no_sink_a_step_asks_the_database_nothing_more(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LATEST_SECONDS", 3600)
    define(ONE)
    made = runtime.start()

    with CaptureQueriesContext(connection) as queries:
        runtime.succeed(made, "work")

    assert not [query for query in queries.captured_queries if "sink" in query["sql"]]
