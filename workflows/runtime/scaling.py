"""Watches the load, tells when it is above what was configured, and says how many workers are wanted.

Any number of processes may watch: the one row of samples is their lock, and whoever comes too early passes over. So the
state of a trigger survives whoever watched last, and a load above its threshold is told once by all of them together.
"""

import json
import logging
import math
import threading
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction

from workflows.models import LoadSample
from workflows.runtime.load import Load, read_load
from workflows.runtime.outages import is_outage
from workflows.runtime.process import Process
from workflows.runtime.records import UnreachableError
from workflows.runtime.views import instant

log = logging.getLogger("lemline.scaling")

SAMPLE = 1
"""The row."""

WEBHOOK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A load that went above its threshold."""

    trigger: str
    value: float
    threshold: float
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """Return it as it is told."""
        return {"trigger": self.trigger, "value": self.value, "threshold": self.threshold, "at": instant(self.at)}


class ScalingWatch:
    """A thread that looks at the load of the cluster, when nobody else has just done so."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._interval = settings.LEMLINE.metrics.scaling.collection_interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scaling", daemon=True)

    def start(self) -> None:
        """Begin to look, where `lemline.metrics.scaling.enabled` says so."""
        if settings.LEMLINE.metrics.scaling.enabled:
            self._thread.start()

    def stop(self) -> None:
        """End after the look in hand."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval.total_seconds()):
            try:
                self.look()
            except Exception as error:
                # Whatever it is: nobody would hear of the load again without this thread.
                unexpected = None if isinstance(error, UnreachableError) or is_outage(error) else error
                log.warning("scaling.waits", exc_info=unexpected, extra={"error": str(error)})

    def look(self) -> Sequence[Breach]:
        """Take a sample unless there is a fresh one, and return what it is too high in."""
        now = self._process.records.now()
        load = None if self._is_fresh(now) else read_load(self._process, now)
        if load is None:
            return ()
        with transaction.atomic():
            LoadSample.objects.get_or_create(pk=SAMPLE, defaults={"at": now - self._interval})
            row = LoadSample.objects.select_for_update().get(pk=SAMPLE)
            if now - row.at < self._interval / 2:
                return ()
            breaches = list(judge(row, load, now))
            want(row, load, now)
            row.at, row.load = now, msgspec.to_builtins(load)
            row.save()
        for breach in breaches:
            tell(breach)
        return breaches

    def _is_fresh(self, now: datetime) -> bool:
        # Looks of several processes drift: half an interval is what makes one of them the second.
        at = LoadSample.objects.filter(pk=SAMPLE).values_list("at", flat=True).first()
        return at is not None and now - at < self._interval / 2


def judge(row: LoadSample, load: Load, now: datetime) -> Iterable[Breach]:
    """Yield the loads that have just gone above their thresholds, and note it in the row."""
    config = settings.LEMLINE.autoscaling
    triggers = config.triggers
    latency = triggers.latency_threshold.total_seconds()
    # Without anything that ended there is no latency, neither high nor low.
    measured = (
        ("workflow-queue", float(load.workflow_queue), float(triggers.workflow_queue_threshold)),
        ("event-queue", float(load.events), float(triggers.event_queue_threshold)),
        ("latency", load.latency.get("0.95", 0.0), latency),
    )
    for name, value, threshold in measured:
        known: Mapping[str, Any] = row.triggers.get(name, {})
        is_above = value > (threshold * config.clear_percent / 100 if known.get("isAbove") else threshold)
        told_at = known.get("toldAt")
        is_new = is_above and not known.get("isAbove")
        if is_new and (told_at is None or now - datetime.fromisoformat(told_at) >= config.cooldown):
            told_at = now.isoformat()
            yield Breach(trigger=name, value=value, threshold=threshold, at=now)
            known = {**known, "told": known.get("told", 0) + 1}
        row.triggers[name] = {"isAbove": is_above, "toldAt": told_at, "told": known.get("told", 0)}


def want(row: LoadSample, load: Load, now: datetime) -> None:
    """Note how many processes each pool wants: more at once, fewer when that has been enough for the cooldown."""
    config = settings.LEMLINE.autoscaling
    for pool in load.messages or {}:
        needed = math.ceil(load.waiting(pool) / config.triggers.workflow_queue_threshold)
        needed = max(config.min_replicas, min(config.max_replicas, needed))
        known: Mapping[str, Any] = row.replicas.get(pool, {})
        desired, since = known.get("desired", needed), known.get("enoughSince")
        if needed >= desired:
            desired, since = needed, None
        elif since is None:
            since = now.isoformat()
        elif now - datetime.fromisoformat(since) >= config.cooldown:
            desired, since = needed, None
        row.replicas[pool] = {"desired": desired, "enoughSince": since}


def tell(breach: Breach) -> None:
    """Log a breach, and post it where that is configured. A webhook that fails is logged; nothing waits for it."""
    log.warning("scaling.triggered", extra=breach.to_json())
    url = settings.LEMLINE.autoscaling.webhook
    if not url:
        return
    request = urllib.request.Request(
        url, json.dumps(breach.to_json()).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):
            pass
    except OSError as error:
        log.warning("scaling.webhook", extra={"error": str(error), "trigger": breach.trigger})
