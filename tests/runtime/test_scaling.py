"""What is said about the load of the cluster: samples, triggers, and how many workers are wanted."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as configured

from lemline_site.config.scaling_sections import Autoscaling
from tests.runtimes import ONE, Beside, Runtime, define
from tests.workers.activities.serving import reply, serving
from workflows import metrics, models
from workflows.runtime.cluster import used
from workflows.runtime.load import Active, Load, read_load
from workflows.runtime.scaling import SAMPLE, Breach, ScalingWatch, judge, tell, want

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def load(**more: Any) -> Load:
    """A load of nothing but this."""
    nothing: dict[str, Any] = {"pending": 0, "messages": {}, "events": 0, "active": [], "latency": {}, "ended": 0}
    return Load(**nothing | more)


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


@pytest.fixture
def row() -> models.LoadSample:
    return models.LoadSample(pk=SAMPLE, at=NOON)


@pytest.fixture
def runtime(database: str) -> Iterator[Runtime]:
    opened = Runtime()
    yield opened
    opened.close()


def told(row: models.LoadSample, found: Load, at: datetime) -> list[str]:
    return [breach.trigger for breach in judge(row, found, at)]


def test_a_load_above_its_threshold_is_told_once_until_it_was_clearly_below(row: models.LoadSample) -> None:
    waiting = [100, 101, 150, 81, 101, 80, 101]

    found = [told(row, load(pending=count), minutes(10 * at)) for at, count in enumerate(waiting)]

    assert found == [[], ["workflow-queue"], [], [], [], [], ["workflow-queue"]]
    assert row.triggers["workflow-queue"]["told"] == 2


def test_a_load_that_comes_and_goes_is_told_again_after_the_cooldown_only(row: models.LoadSample) -> None:
    ups_and_downs = [(0, 101), (1, 0), (2, 101), (3, 0), (6, 101)]

    found = [told(row, load(pending=count), minutes(at)) for at, count in ups_and_downs]

    assert found == [["workflow-queue"], [], [], [], ["workflow-queue"]]


@pytest.mark.parametrize(
    ("found", "trigger"),
    [
        (load(pending=60, messages={"http": {"1": 20, "5": 21}}), "workflow-queue"),
        (load(events=501), "event-queue"),
        (load(latency={"0.5": 1.0, "0.95": 5.1, "0.99": 9.0}, ended=40), "latency"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_load_has_its_threshold(row: models.LoadSample, found: Load, trigger: str) -> None:
    assert told(row, found, NOON) == [trigger]


def test_where_nothing_ended_there_is_no_latency_to_be_above(row: models.LoadSample) -> None:
    assert told(row, load(latency={}), NOON) == []


def test_more_workers_are_wanted_at_once_and_fewer_after_the_cooldown(row: models.LoadSample) -> None:
    desired = []
    for at, count in [(0, 100), (1, 101), (2, 950), (3, 5000), (4, 0), (8, 0), (9, 0)]:
        want(row, load(messages={"http": {"1": count}}), minutes(at))
        desired.append(row.replicas["http"]["desired"])

    assert desired == [1, 2, 10, 10, 10, 10, 1]


def test_a_load_that_returns_meanwhile_keeps_its_workers(row: models.LoadSample) -> None:
    for at, count in [(0, 500), (1, 0), (4, 500), (5, 0), (9, 0)]:
        want(row, load(messages={"http": {"1": count}}), minutes(at))

    assert row.replicas["http"]["desired"] == 5


def test_the_broker_that_is_away_changes_no_wish(row: models.LoadSample) -> None:
    want(row, load(messages={"http": {"1": 500}}), NOON)
    want(row, load(messages=None), minutes(10))

    assert row.replicas["http"]["desired"] == 5


def test_a_breach_is_posted_to_the_webhook(settings: Any) -> None:
    with serving(reply({})) as service:
        settings.LEMLINE = replace(configured.LEMLINE, autoscaling=Autoscaling(webhook=f"{service.url}/scale"))

        tell(Breach(trigger="latency", value=7.5, threshold=5.0, at=NOON))

        assert (service.last.method, service.last.target) == ("POST", "/scale")
        assert service.last.body == (
            b'{"trigger": "latency", "value": 7.5, "threshold": 5.0, "at": "2026-11-26T12:00:00.000Z"}'
        )


def test_a_webhook_that_fails_harms_nothing(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    with serving(reply({}, 500)) as service:
        settings.LEMLINE = replace(configured.LEMLINE, autoscaling=Autoscaling(webhook=service.url))

        tell(Breach(trigger="latency", value=7.5, threshold=5.0, at=NOON))

    assert [record.message for record in caplog.records] == ["scaling.triggered", "scaling.webhook"]


def test_the_load_is_what_the_database_and_the_broker_say(runtime: Runtime) -> None:
    define(ONE)
    first, _ = runtime.start(), runtime.start()
    runtime.settle()
    runtime.succeed(first, runtime.bells.rung[0].command.name)
    runtime.settle()
    runtime.bells.waiting = {"http/1": 2, "http/5": 3, "io/5": 0}

    found = read_load(runtime.process, runtime.now + timedelta(seconds=1))

    assert found.active == [Active("tests", "played", "1.0.0", 1)]
    assert found.messages == {"http": {"1": 2, "5": 3}, "io": {"5": 0}}
    assert found.workflow_queue == 5
    assert found.ended == 1
    assert set(found.latency) == {"0.5", "0.95", "0.99"}
    assert found.latency["0.5"] >= 0


def test_whoever_looks_a_moment_later_passes_over(runtime: Runtime) -> None:
    runtime.bells.waiting = {"http/5": 150}
    one, other = ScalingWatch(runtime.process), ScalingWatch(runtime.process)

    assert [breach.trigger for breach in one.look()] == ["workflow-queue"]
    runtime.bells.waiting = {"http/5": 0}
    assert other.look() == ()

    assert models.LoadSample.objects.get().load["messages"] == {"http": {"5": 150}}


def test_two_who_look_at_once_tell_once(runtime: Runtime) -> None:
    runtime.bells.waiting = {"http/5": 150}
    beside = Beside()
    try:
        looks = [beside.run(ScalingWatch(runtime.process).look), beside.run(ScalingWatch(runtime.process).look)]
        told_of = [breach for look in looks for breach in look.result()]
    finally:
        beside.close()

    assert len(told_of) == 1


def test_the_state_of_a_trigger_outlives_who_watched(runtime: Runtime) -> None:
    runtime.bells.waiting = {"http/5": 150}
    ScalingWatch(runtime.process).look()
    models.LoadSample.objects.update(at=NOON - timedelta(days=365))

    assert list(ScalingWatch(runtime.process).look()) == []


def page(settings: Any, **more: Any) -> str:
    """Return what `/metrics` shows with these settings."""
    settings.LEMLINE = replace(configured.LEMLINE, metrics=replace(configured.LEMLINE.metrics, **more))
    return metrics.text().decode()


def test_metrics_show_the_latest_sample(runtime: Runtime, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "current", lambda: runtime.process)
    define(ONE)
    runtime.start()
    runtime.settle()
    runtime.bells.waiting = {"http/1": 150}
    ScalingWatch(runtime.process).look()

    shown = page(settings)

    for line in (
        'lemline_workflow_queue_length{priority="1",queue="http"} 150.0',
        'lemline_workflow_queue_length{priority="",queue="start"} 0.0',
        "lemline_event_queue_length 0.0",
        'lemline_active_workflows{name="played",namespace="tests",version="1.0.0"} 1.0',
        'lemline_autoscaling_desired_replicas{pool="http"} 2.0',
        'lemline_autoscaling_threshold_breaches_total{trigger="workflow-queue"} 1.0',
        'lemline_autoscaling_threshold_breaches_total{trigger="latency"} 0.0',
    ):
        assert f"{line}\n" in shown


@pytest.mark.parametrize(
    ("setting", "series"),
    [
        ("workflow_queue_length", "lemline_workflow_queue_length"),
        ("event_queue_length", "lemline_event_queue_length"),
        ("active_workflows", "lemline_active_workflows"),
    ],
)
def test_series_can_be_left_out(runtime: Runtime, settings: Any, monkeypatch: Any, setting: str, series: str) -> None:
    monkeypatch.setattr(metrics, "current", lambda: runtime.process)
    ScalingWatch(runtime.process).look()
    autoscaling = configured.LEMLINE.metrics.autoscaling

    assert f"# TYPE {series} " in page(settings)
    assert series not in page(settings, autoscaling=replace(autoscaling, **{setting: False}))
    assert series not in page(settings, autoscaling=replace(autoscaling, enabled=False))
    assert series not in page(settings, scaling=replace(configured.LEMLINE.metrics.scaling, enabled=False))


def test_a_process_tells_what_it_has_used(runtime: Runtime, monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "current", lambda: runtime.process)
    now = runtime.now
    models.Node.objects.create(
        pk=runtime.process.presence.id, name="n1/http/1", roles="http", started_at=now, seen_at=now, usage=used()
    )

    shown = metrics.text().decode()

    [memory] = [line for line in shown.splitlines() if line.startswith("lemline_process_resident_memory_bytes{")]
    assert memory.startswith('lemline_process_resident_memory_bytes{node="n1/http/1",roles="http"} ')
    assert float(memory.rpartition(" ")[2]) > 1024**2
    assert 'lemline_process_cpu_seconds_total{node="n1/http/1",roles="http"} ' in shown
