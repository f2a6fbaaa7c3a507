"""`/metrics`: figures in Prometheus' text format.

All of them are about the cluster and read from the tables that its processes write, so every web process gives the
same, and none has to be asked twice. What costs more to count is taken from the latest sample, whose age is told.
"""

from collections.abc import Iterator

import msgspec
from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workflows.models import LoadSample, Node
from workflows.runtime.load import Load, open_counts
from workflows.runtime.process import current

_USED = (
    ("lemline_process_cpu_seconds", "CPU time used", "cpuSeconds"),
    ("lemline_process_read_bytes", "Bytes read from storage", "readBytes"),
    ("lemline_process_written_bytes", "Bytes written to storage", "writtenBytes"),
)


class _Cluster:
    """Gives the figures each time they are asked for."""

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield self._instances()
        yield from self._processes()
        sample = LoadSample.objects.first()
        if settings.LEMLINE.metrics.scaling.enabled and sample is not None and sample.load:
            yield from _sampled(sample)

    def _instances(self) -> Metric:
        family = GaugeMetricFamily("lemline_instances", "Instances that have not ended, by status.", labels=("status",))
        for status, count in open_counts().items():
            family.add_metric((status,), count)
        return family

    def _processes(self) -> Iterator[Metric]:
        living = list(Node.objects.filter(seen_at__gt=current().presence.horizon()).order_by("name"))
        labels = ("node", "roles")
        memory = GaugeMetricFamily("lemline_process_resident_memory_bytes", "Memory in use.", labels=labels)
        for node in living:
            memory.add_metric((node.name, node.roles), node.usage.get("residentBytes", 0))
        yield memory
        for name, text, key in _USED:
            family = CounterMetricFamily(name, f"{text} since the process started.", labels=labels)
            for node in living:
                family.add_metric((node.name, node.roles), node.usage.get(key, 0))
            yield family


def _sampled(sample: LoadSample) -> Iterator[Metric]:
    process = current()
    load = msgspec.convert(sample.load, Load)
    age = (process.clock.now() - sample.at).total_seconds()
    yield GaugeMetricFamily("lemline_load_sample_age_seconds", "Age of the figures about the load.", max(0.0, age))
    yield from _autoscaling(load)
    yield _latency(load)
    wanted = GaugeMetricFamily(
        "lemline_autoscaling_desired_replicas", "Worker processes that the load asks for.", labels=("pool",)
    )
    for pool, said in sorted(sample.replicas.items()):
        wanted.add_metric((pool,), said["desired"])
    yield wanted
    told = CounterMetricFamily(
        "lemline_autoscaling_threshold_breaches", "Times a load went above its threshold.", labels=("trigger",)
    )
    for name, state in sorted(sample.triggers.items()):
        told.add_metric((name,), state["told"])
    yield told


def _autoscaling(load: Load) -> Iterator[Metric]:
    series = settings.LEMLINE.metrics.autoscaling
    if not series.enabled:
        return
    if series.workflow_queue_length:
        yield _queue(load)
    if series.event_queue_length:
        yield GaugeMetricFamily("lemline_event_queue_length", "Events that have not been looked at.", load.events)
    if series.active_workflows:
        active = GaugeMetricFamily(
            "lemline_active_workflows", "Instances that are worked on.", labels=("namespace", "name", "version")
        )
        for each in load.active:
            active.add_metric((each.namespace, each.workflow, each.version), each.count)
        yield active


def _queue(load: Load) -> Metric:
    """Sums up to the length of the queue, whatever it is summed by."""
    family = GaugeMetricFamily(
        "lemline_workflow_queue_length",
        "What waits: messages by pool and level, and as `start` the instances that have not begun.",
        labels=("queue", "priority"),
    )
    family.add_metric(("start", ""), load.pending)
    for pool, levels in sorted((load.messages or {}).items()):
        for level, count in sorted(levels.items()):
            family.add_metric((pool, level), count)
    return family


def _latency(load: Load) -> Metric:
    family = GaugeMetricFamily(
        "lemline_workflow_latency_seconds",
        "Time from start to end of the instances that ended within five minutes before the sample.",
        labels=("quantile",),
    )
    for quantile, seconds in sorted(load.latency.items()):
        family.add_metric((quantile,), seconds)
    return family


_registry = CollectorRegistry(auto_describe=False)
_registry.register(_Cluster())


def text() -> bytes:
    """Return all figures as they are now."""
    return generate_latest(_registry)
