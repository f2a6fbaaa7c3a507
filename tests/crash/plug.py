"""What LEMLINE_ACTIVITIES brings into the processes under test: functions that call the stub, and places to die at.

A place is armed by a file in the folder LEMLINE_FAULTS, named `role.place.instance`, which holds how many
passages the process survives, and the signal. Whoever reaches the place next removes the file, so it happens
once, and signals itself: by SIGKILL, nothing of it gets to clean up.
"""

import functools
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workers.activities.functions import Context, activity
from workers.claims import RedisClaims
from workers.desk import Desk
from workers.dispatcher import CeleryWorkers
from workflows.runtime.postgres import PostgresRecords
from workflows.runtime.sqlite import SqliteRecords

FOLDER = Path(os.environ["LEMLINE_FAULTS"])
ROLE = os.environ["LEMLINE_FAULT_ROLE"]


@activity("crash/visit")
def visit(url: str, *, context: Context) -> dict[str, str]:
    """Call the stub."""
    request = urllib.request.Request(url, b"", {"Idempotency-Key": context.idempotency_key}, method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()
    return {"visited": url.rpartition("/")[2]}


@activity("crash/poison")
def poison(url: str, *, context: Context) -> None:
    """Call the stub, and take the whole process along."""
    visit(url, context=context)
    os.kill(os.getpid(), signal.SIGKILL)


def pass_by(place: str, instances: Iterable[str]) -> None:
    """Die here, if somebody asked for it."""
    for instance in instances:
        order = FOLDER / f"{ROLE}.{place}.{instance}"
        if not order.exists():
            continue
        left, number = map(int, order.read_text().split())
        if left:
            order.write_text(f"{left - 1} {number}")
            continue
        order.unlink()
        # To this very thread: it goes no further.
        signal.pthread_kill(threading.get_ident(), number)


def before(owner: type, method: str, place: str, instances: Callable[..., Iterable[str]]) -> None:
    """Make the beginning of a method a place."""
    original = getattr(owner, method)

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        pass_by(place, instances(*args))
        return original(self, *args, **kwargs)

    setattr(owner, method, wrapped)


def after(owner: type, method: str, place: str, instances: Callable[..., Iterable[str]]) -> None:
    """Make the end of a method a place."""
    original = getattr(owner, method)

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        pass_by(place, instances(*args))
        return result

    setattr(owner, method, wrapped)


def _of_message(message: Any) -> list[str]:
    return [item.instance_id for item in message.items]


def _of_changes(changes: Any) -> list[str]:
    births = [birth.instance_id for birth, _, _ in changes.births]
    return [*births, *(after.instance_id for after in changes.checkpoints), *changes.removed]


before(Desk, "handle", "taken", _of_message)
after(RedisClaims, "take", "claimed", lambda holds: [hold[0] for hold in holds])
before(Desk, "tell", "ended", lambda errand, *_: [errand.item.instance_id])
for records in (PostgresRecords, SqliteRecords):
    before(records, "save", "saving", _of_changes)
    after(records, "save", "committed", _of_changes)
after(CeleryWorkers, "dispatch", "published", lambda deliveries: [delivery.instance_id for delivery in deliveries])
after(Desk, "handle", "settled", _of_message)
