"""Life cycle: what is told of a run, in which order, and that records and stored rows tell the same."""

from typing import Any
from uuid import UUID

import pytest

from tests.runtimes import (
    BOTH,
    ONE,
    Runtime,
    define,
    let_time_pass,
    phases_of,
    runs_of,
    state_of,
    wait_of,
)
from workflows import models
from workflows.dsl.jsontext import decode
from workflows.engine import facts
from workflows.engine.problems import problem
from workflows.runtime.feed import Feed, Place, Wanted
from workflows.runtime.lifecycle import REQUIRED, TABLES, LifeCycle
from workflows.runtime.step import Taken
from workflows.runtime.told import told_of

LIFE = LifeCycle(source="/api/v1", kinds=frozenset(TABLES))
PARTS = (
    "do:\n"
    "- first: {set: {n: 1}}\n"
    "- never: {if: 'false', set: {n: 2}}\n"
    "- loop: {for: {in: '[1, 2]'}, do: [{work: {call: work}}]}\n"
)
RETRIED = (
    "do: [{safe: {try: [{work: {call: work}}], catch: {retry: {delay: {seconds: 5}, limit: {attempt: {count: 1}}}}}}]"
)


MAY_BE_ABSENT = {"output", "correlationKeys"}


def stream(instance: str, life: LifeCycle = LIFE) -> list[dict[str, Any]]:
    """What is told of an instance; each event has what its table wants, and nothing else."""
    wanted = Wanted(instance=UUID(instance), kinds=life.kinds)
    events = [sent.event for sent in Feed(wanted, life, None).read()]
    for event in events:
        members = TABLES[event["type"].removeprefix("io.serverlessworkflow.").removesuffix(".v1")]
        assert [member for member in members if member in event["data"]] == list(event["data"])
        assert set(members) - set(event["data"]) <= MAY_BE_ABSENT
    return events


def lines(events: list[dict[str, Any]]) -> list[str]:
    """Kind and task of each, without what the specification leaves to the runtime."""
    return [line(event) for event in events if not event["type"].endswith("status-changed.v1")]


def line(event: dict[str, Any]) -> str:
    kind = event["type"].removeprefix("io.serverlessworkflow.").removesuffix(".v1")
    task = event["data"].get("task")
    return kind if task is None else f"{kind} {task}"


@pytest.fixture
def said(runtime: Runtime) -> list[dict[str, Any]]:
    """What the records of every committed step told, as it was written."""
    events: list[dict[str, Any]] = []
    write = runtime.process.steps.write

    def watched(taken: Taken, *more: Any) -> None:
        write(taken, *more)
        events.extend(event for kind, event in told_of(taken, LIFE) if kind == "lifecycle")

    runtime.process.steps.write = watched  # type: ignore[method-assign]
    return events


def test_a_run_is_told_from_its_start_to_its_end(runtime: Runtime) -> None:
    define(PARTS)

    made = runtime.start()
    runtime.succeed(made, "work")
    runtime.succeed(made, "work")

    work = "/do/2/loop/for/do/0/work"
    once = [f"task.created {work}", f"task.started {work}", f"task.completed {work}"]
    assert lines(stream(made)) == [
        "workflow.started",
        "task.created /do/0/first", "task.started /do/0/first", "task.completed /do/0/first",
        "task.created /do/2/loop", "task.started /do/2/loop", *once, *once, "task.completed /do/2/loop",
        "workflow.completed",
    ]  # fmt: skip


def test_records_and_rows_tell_the_same_events(runtime: Runtime, said: list[dict[str, Any]]) -> None:
    define(RETRIED)

    made = runtime.start()
    fail(runtime, made)
    let_time_pass(made)
    runtime.apply(made, facts.SuspendRequested(at=runtime.now), facts.ResumeRequested(at=runtime.now))
    runtime.apply(made, facts.TimerFired(at=runtime.now, wait_id=next(iter(state_of(made).waits))))
    runtime.succeed(made, "work", {"n": 1})

    assert stream(made) == said
    assert len({event["id"] for event in said}) == len(said)


def fail(runtime: Runtime, made: str) -> None:
    wait = next(iter(state_of(made).waits))
    fault = problem("communication", "away", status=503)
    runtime.apply(made, facts.ActivityFailed(at=runtime.now, wait_id=wait, problem=fault))


def test_a_try_that_tries_again_is_retried_and_its_task_begins_anew(runtime: Runtime) -> None:
    define(RETRIED)

    made = runtime.start()
    fail(runtime, made)
    let_time_pass(made)
    runtime.apply(made, facts.TimerFired(at=runtime.now, wait_id=next(iter(state_of(made).waits))))

    work = "/do/0/safe/try/0/work"
    events = stream(made)
    assert lines(events) == [
        "workflow.started", "task.created /do/0/safe", "task.started /do/0/safe",
        f"task.created {work}", f"task.started {work}", f"task.faulted {work}",
        "task.retried /do/0/safe", f"task.created {work}", f"task.started {work}",
    ]  # fmt: skip
    assert [event.get("attempt") for event in events if line(event) == f"task.created {work}"] == [None, 2]


def test_a_step_that_ends_nothing_has_a_row_that_is_neither_run_nor_phase(
    runtime: Runtime, said: list[dict[str, Any]]
) -> None:
    define(f"do: [{{both: {{fork: {{branches: [{{long: {{call: work}}}}, {{again: {{{RETRIED}}}}}]}}}}}}]")
    made = runtime.start()
    fault = problem("communication", "away", status=503)
    runtime.apply(made, facts.ActivityFailed(at=runtime.now, wait_id=wait_of(made, "work"), problem=fault))
    runs, phases = runs_of(made), phases_of(made)
    let_time_pass(made)

    [timer] = [name for name, wait in state_of(made).waits.items() if wait.kind == "timer"]
    runtime.apply(made, facts.TimerFired(at=runtime.now, wait_id=timer))

    assert models.History.objects.filter(instance=made, is_phase=None).count() == 1
    assert (runs_of(made), phases_of(made)) == (runs, phases)
    assert stream(made) == said
    assert lines(said)[-3].startswith("task.retried")


def test_suspending_and_resuming_are_told_of_the_workflow_and_of_its_tasks(runtime: Runtime) -> None:
    define(BOTH)
    made = runtime.start()
    before = len(stream(made))

    runtime.apply(made, facts.SuspendRequested(at=runtime.now))
    runtime.apply(made, facts.ResumeRequested(at=runtime.now))

    tasks = ["/do/0/both", "/do/0/both/fork/branches/0/a", "/do/0/both/fork/branches/1/b"]
    assert lines(stream(made)[before:]) == [
        "workflow.suspended", *(f"task.suspended {task}" for task in tasks),
        "workflow.resumed", *(f"task.resumed {task}" for task in tasks),
    ]  # fmt: skip


def test_a_fault_is_told_with_its_error_and_what_it_cancelled(runtime: Runtime) -> None:
    define(BOTH)
    made = runtime.start()

    fail(runtime, made)

    events = stream(made)
    assert lines(events)[-4:] == [
        "task.faulted /do/0/both/fork/branches/0/a", "task.cancelled /do/0/both/fork/branches/1/b",
        "task.faulted /do/0/both", "workflow.faulted",
    ]  # fmt: skip
    error = events[-2]["data"]["error"]
    assert (error["status"], error["detail"]) == (503, "away")
    assert error["instance"] == "/do/0/both/fork/branches/0/a"


def test_the_verb_retry_resumes_the_workflow_and_what_it_goes_on_within(runtime: Runtime) -> None:
    define(BOTH)
    made = runtime.start()
    fail(runtime, made)
    before = len(stream(made))

    runtime.apply(made, facts.RetryRequested(at=runtime.now))

    told = lines(stream(made)[before:])
    assert told[:2] == ["workflow.resumed", "task.retried /do/0/both"]
    assert "task.created /do/0/both/fork/branches/0/a" in told
    assert "workflow.started" not in told


def test_an_earlier_fault_keeps_its_error_after_a_retry(runtime: Runtime) -> None:
    define(ONE)
    made = runtime.start()
    fail(runtime, made)
    runtime.apply(made, facts.RetryRequested(at=runtime.now))

    runtime.succeed(made, "work", {"n": 1})

    by_kind = {line(event): event["data"] for event in stream(made)}
    assert by_kind["workflow.faulted"]["error"]["status"] == 503
    assert by_kind["workflow.completed"]["output"] == {"n": 1}


def test_cancelling_is_told_of_the_tasks_before_the_workflow(runtime: Runtime) -> None:
    define(ONE)
    made = runtime.start()

    runtime.apply(made, facts.CancelRequested(at=runtime.now))

    assert lines(stream(made))[-2:] == ["task.cancelled /do/0/work", "workflow.cancelled"]


def test_an_instance_that_was_given_up_is_told_as_faulted_with_the_reason(runtime: Runtime) -> None:
    define(ONE)
    made = runtime.start()

    models.Sink.objects.create(
        name="out", url="https://sink.example", mode="structured", kinds=["lifecycle"], created_at=runtime.now
    )
    runtime.process.outbox.forget()

    runtime.stepper.consequences.bury(made, OSError("the disk is full"))

    [event] = [event for event in stream(made) if line(event) == "workflow.faulted"]
    assert "the disk is full" in event["data"]["error"]["detail"]
    [row] = models.OutgoingEvent.objects.filter(instance=made)
    assert decode(bytes(row.event)) == event


def test_status_changes_are_told_only_where_that_is_set(runtime: Runtime) -> None:
    define(ONE)
    made = runtime.start()

    everything = [line(event) for event in stream(made)]
    required = [line(event) for event in stream(made, LifeCycle(source="", kinds=REQUIRED))]

    assert required == [each for each in everything if "status-changed" not in each]
    changes = [event["data"]["status"] for event in stream(made) if "status-changed" in event["type"]]
    assert changes == ["running", "pending", "running"]


def test_what_an_event_says_besides_its_data(runtime: Runtime) -> None:
    define(PARTS)
    made = runtime.start()

    first, *_, last = stream(made, LifeCycle(source="https://lemline.example/api/v1"))

    assert {key: first[key] for key in ("specversion", "source", "subject", "type", "datacontenttype")} == {
        "specversion": "1.0",
        "source": "https://lemline.example/api/v1/workflows/tests/played/1.0.0",
        "subject": made,
        "type": "io.serverlessworkflow.workflow.started.v1",
        "datacontenttype": "application/json",
    }
    assert first["data"]["name"] == f"played-{made}.tests"
    assert first["data"]["definition"] == {"name": "played", "namespace": "tests", "version": "1.0.0"}
    assert last["iteration"] == 0


def test_a_reader_goes_on_where_it_stopped(runtime: Runtime) -> None:
    define(PARTS)
    made = runtime.start()
    wanted = Wanted(instance=UUID(made))
    whole = list(Feed(wanted, LIFE, None).read())

    for number, sent in enumerate(whole, 1):
        rest = list(Feed(wanted, LIFE, sent.place).read())

        assert rest == whole[number:]


def test_outputs_above_the_history_s_limit_are_told_by_size_and_place(runtime: Runtime) -> None:
    limit = runtime.process.steps._history.limit_bytes
    define("do: [{work: {call: work}}]")
    made = runtime.start()

    runtime.succeed(made, "work", "x" * limit)

    told = [event["data"]["output"] for event in stream(made) if "completed" in event["type"]]
    expected = {"$truncated": True, "size": limit + 2, "href": f"/api/v1/instances/{made}"}
    assert told == [expected, expected]


def test_from_now_on_means_what_is_still_to_come(runtime: Runtime) -> None:
    define(ONE)
    earlier = runtime.start()
    feed = Feed(Wanted(), LIFE, None)

    assert list(feed.read()) == []
    made = runtime.start()

    assert {sent.event["subject"] for sent in feed.read()} == {made}
    assert earlier not in {sent.event["subject"] for sent in feed.read()}


def test_workflows_and_namespaces_are_kept_apart(runtime: Runtime) -> None:
    define(ONE)
    define(ONE, name="other")
    start = Place(0, 0)
    runtime.start()
    made = runtime.start("other")

    def told(wanted: Wanted) -> set[str]:
        return {sent.event["subject"] for sent in Feed(wanted, LIFE, start).read()}

    assert told(Wanted(workflow=("tests", "other"))) == {made}
    assert told(Wanted(namespaces=frozenset({"foreign"}))) == set()
    assert len(told(Wanted(namespaces=frozenset({"tests"})))) == 2
