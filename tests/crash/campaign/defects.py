"""Mistakes that can be planted into the processes under test: each breaks one rule of the runtime.

Loaded like the plug, through LEMLINE_ACTIVITIES, by tests of the campaign only: it must find the damage. A file beside
the plug's folder names the mistake that is made at present; without it, all is as it should be.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from celery.worker.request import Request

from workflows.runtime.clock import DatabaseClock
from workflows.runtime.cluster import Hold
from workflows.runtime.consequences import Consequences
from workflows.runtime.postgres import PostgresRecords
from workflows.runtime.process import current
from workflows.runtime.step import Steps, Taken
from workflows.runtime.sweeper import Sweeper

PLANTED = Path(os.environ["LEMLINE_FAULTS"]).parent / "planted"

PUBLISH_BEFORE_COMMIT = "publish before commit"
ACKNOWLEDGE_BEFORE_COMMIT = "acknowledge before commit"
WAIT_ID_NOT_CHECKED = "wait id not checked"
LEASE_PER_INSTANCE = "lease per instance"
BLIND_SWEEPER = "sweeper blind to an emptied queue"
WALL_CLOCK = "a worker's wall clock"

Method = Callable[..., Any]

_decided: list[Taken] = []
"""What the step at hand will ring for."""

_commit_seconds = itertools.cycle((0.2, 0.0, 0.0))
"""Some commits are slow."""


def is_planted(name: str) -> bool:
    """Return whether this mistake is made at present."""
    try:
        return PLANTED.read_text() == name
    except FileNotFoundError:
        return False


def planted(name: str, owner: type, method: str) -> Callable[[Method], None]:
    """Have a method do something else while a mistake is made. The new one is given the old one first."""

    def plant(mistaken: Method) -> None:
        right = getattr(owner, method)

        def either(self: Any, *args: Any) -> Any:
            return mistaken(right, self, *args) if is_planted(name) else right(self, *args)

        setattr(owner, method, either)

    return plant


@planted(PUBLISH_BEFORE_COMMIT, Steps, "write")
def _write(right: Method, steps: Steps, taken: Taken, *rest: Any) -> None:
    right(steps, taken, *rest)
    _decided.append(taken)


@planted(PUBLISH_BEFORE_COMMIT, Consequences, "_ring")
def _ring(right: Method, consequences: Consequences, taken: Any) -> None:
    """It has rung before."""


@planted(PUBLISH_BEFORE_COMMIT, PostgresRecords, "save")
def _save(right: Method, records: PostgresRecords, changes: Any) -> None:
    current().workers.dispatch([delivery for taken in _decided for delivery in taken.deliveries()])
    _decided.clear()
    threading.Event().wait(next(_commit_seconds))
    right(records, changes)


@planted(ACKNOWLEDGE_BEFORE_COMMIT, Request, "on_accepted")
def _accept(right: Method, request: Any, *args: Any) -> None:
    right(request, *args)
    request.acknowledge()


@planted(WAIT_ID_NOT_CHECKED, Steps, "_apply")
def _apply(right: Method, steps: Steps, taken: Taken, fact: Any) -> None:
    waits = taken.state.waits
    if getattr(fact, "wait_id", None) and waits and fact.wait_id not in waits:
        fact = msgspec.structs.replace(fact, wait_id=next(iter(waits)))
    right(steps, taken, fact)


class _OfInstances(set[Hold]):
    """Holds that stand for all of their instance."""

    def __contains__(self, hold: Any) -> bool:
        return any(instance == hold[0] for instance, _, _ in self)


@planted(LEASE_PER_INSTANCE, Sweeper, "_look_at_nodes")
def _look_at_nodes(right: Method, sweeper: Sweeper, now: datetime) -> AbstractSet[Hold]:
    return _OfInstances(right(sweeper, now))


@planted(BLIND_SWEEPER, Sweeper, "_look_at_queues")
def _look_at_queues(right: Method, sweeper: Sweeper, now: datetime) -> None:
    """What was taken is all that it believes."""


@planted(WALL_CLOCK, DatabaseClock, "now")
def _now(right: Method, clock: DatabaseClock) -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
