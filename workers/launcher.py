"""Starts a worker process for given roles: Celery takes the jobs of their queues, our threads keep time and sweep."""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import worker_shutting_down
from celery.worker.state import reserved_requests
from django.conf import settings

from workers import taking
from workers.app import app
from workers.bridges.bridges import Bridges
from workers.claims import LocalClaims
from workers.courier import Courier
from workers.declaration import await_queues
from workers.desk import desk, has_desk, open_desk
from workers.dispatcher import CeleryWorkers, connect
from workers.garbage import settle
from workers.memory import MemoryGuard
from workers.pools import ACTIVITY_POOLS, ROLES, pools
from workers.routing import Routing, routing
from workers.slots import Slots
from workers.taking import TakingConsumer
from workers.turns import Turns
from workflows.checks import check_claims
from workflows.runtime import process as runtime
from workflows.runtime.cluster import Heartbeat
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.event_lanes import Order, any_order
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.event_schedules import EventSchedules
from workflows.runtime.lane_shares import LaneShares
from workflows.runtime.process import Process
from workflows.runtime.retention import Retention
from workflows.runtime.scaling import ScalingWatch
from workflows.runtime.schedule_keeper import ScheduleKeeper
from workflows.runtime.sweeper import Sweeper
from workflows.runtime.timekeeper import Timekeeper

log = logging.getLogger("lemline.launcher")

ABANDON_SECONDS = 2.0
"""How long activities that were told to stop are waited for: time enough to kill their processes."""

# It warns of running as root because pickled messages could be code; ours are JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)


def main(roles: Sequence[str]) -> int:
    """Take jobs of these roles until told to stop. Returns the process's exit code.

    Raises:
        InvalidRequestError: A role is unknown, or the broker is `memory://`, which has no workers of its own.
    """
    _check(roles)
    for warning in check_claims(None):
        log.warning("worker.claims", extra={"warning": warning.msg, "hint": warning.hint})
    names = routing(settings.LEMLINE)
    if names.broker == "amqp":
        await_queues(names)
    process = runtime.begin(connect, roles=",".join(roles))
    threads = _threads(process, roles)
    for thread in threads:
        thread.start()
    worker = _worker(roles)
    settle(settings.LEMLINE.jvm.gc.strategy, settings.LEMLINE.jvm.gc.max_gc_pause_millis)
    with _ending(threads):
        worker.start()
    return int(worker.exitcode or 0)


@contextlib.contextmanager
def _ending(threads: Sequence[Any]) -> Iterator[None]:
    """Once told to stop, hand back what has not begun, and after the grace what still runs; end for good when functions
    do not heed that.
    """
    stopping, ended = threading.Event(), threading.Event()

    def end() -> None:
        for thread in reversed(threads):
            thread.stop()
        runtime.end()

    def hand_back() -> None:
        stopping.wait()
        desk().hand_back_waiting()
        if ended.wait(settings.LEMLINE.execution.grace.total_seconds()):
            return
        desk().hand_back(ABANDON_SECONDS)
        if not ended.wait(ABANDON_SECONDS):
            log.warning("worker.forced")
            end()
            os._exit(0)

    def told(**_: object) -> None:
        # A signal's handler: whatever it interrupts may hold a lock, also the one that starts threads.
        taking.close()
        stopping.set()

    if has_desk():
        threading.Thread(target=hand_back, name="stop", daemon=True).start()
        worker_shutting_down.connect(told, weak=False)
    yield
    ended.set()
    if has_desk():
        desk().stop(ABANDON_SECONDS)
    end()


def _check(roles: Sequence[str]) -> None:
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise InvalidRequestError(f"unknown role {', '.join(unknown)}: choose from {', '.join(ROLES)}")
    if routing(settings.LEMLINE).broker == "memory":
        raise InvalidRequestError(
            "BROKER_URL is memory://, which lives in one process: set it to redis:// or amqp://, or use `lemline dev`"
        )


def _threads(process: Process, roles: Sequence[str]) -> list[Any]:
    """Return what runs beside the jobs: the heartbeat always, more for `events` and `maintenance`."""
    lease = settings.LEMLINE.execution.lease.total_seconds()
    workers = process.workers
    claims = workers.claims if isinstance(workers, CeleryWorkers) else LocalClaims(process.presence)
    if set(roles) & set(ACTIVITY_POOLS):
        open_desk(process, claims, max(pools(settings.LEMLINE)[role].max_size for role in roles))
    threads: list[Any] = [Heartbeat(process.presence, process.records, process.clock, lease, claims.renew)]
    if settings.LEMLINE.jvm.memory.max is not None:
        threads.append(MemoryGuard(settings.LEMLINE.jvm.memory.max))
    if "events" in roles:
        threads.append(Bridges(process, settings.LEMLINE.events.bridges, settings.LEMLINE.messaging.consumer_group))
        threads.append(Courier(process, lease))
        if settings.LEMLINE.event_processor.enabled:
            threads.append(_event_processor(process))
    if "maintenance" in roles:
        threads.append(Timekeeper(process.records, process.clock, process.stepper))
        threads.append(ScheduleKeeper(process))
        threads.append(Retention(process.clock))
        threads.append(ScalingWatch(process))
        limit = settings.LEMLINE.execution.max_recoveries
        threads.append(
            Sweeper(process.records, process.clock, workers, process.children, process.stepper.submit, lease, limit)
        )
    return threads


def _event_processor(process: Process) -> EventProcessor:
    config = settings.LEMLINE.events
    is_partitioned = config.consumer_strategy == "PARTITIONED"
    order: Order = LaneShares(process.presence) if is_partitioned else any_order
    return EventProcessor(process, config.consumer_count, EventSchedules.of(process).hear, order=order)


def _worker(roles: Sequence[str]) -> Any:
    names = routing(settings.LEMLINE)
    sizes = pools(settings.LEMLINE)
    threads = sum(sizes[role].threads for role in roles)
    taking.use(_turns(names, roles, threads), names.broker)
    return app.Worker(
        hostname=f"{'-'.join(roles)}.{os.getpid()}@{settings.LEMLINE_NODE}",
        queues=[names.queue(role, level) for role in roles for level in range(1, names.levels + 1)],
        consumer_cls=TakingConsumer,
        pool="threads",
        # What is more urgent than all that waits in the process is taken though its threads are busy.
        concurrency=threads + len(roles) * names.levels,
        loglevel=settings.LEMLINE.log.level,
        task_events=True,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )


def _turns(names: Routing, roles: Sequence[str], threads: int) -> Turns:
    ordering = settings.LEMLINE.execution.prioritization
    if has_desk():
        desk().opened = taking.opened
    slots = desk().slots if has_desk() else Slots(threads, names.levels, ordering.aging_interval)
    return Turns(names, roles, threads, lambda: len(reserved_requests), slots, ordering.aging_interval)
