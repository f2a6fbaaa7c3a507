"""What LEMLINE_ACTIVITIES brings into the processes under test: functions that call the stub, and places to die at.

A place is armed by a file in the folder LEMLINE_FAULTS, named `role.place.instance` (or `role.place.any`), which
holds how many passages the process survives, and the signal. Whoever reaches the place next removes the file, so it
happens once, and signals itself: by SIGKILL, nothing of it gets to clean up. With 0 in the signal's place the process
lives on, and what it was about to do there is left undone.

Beside that folder, `claims` tells every claim that was given, and what a process went on with, which needs none;
`clock.ROLE` holds by how many seconds the wall clock of a process is wrong.
"""

import functools
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from workers.activities.functions import Context, activity
from workers.claims import RedisClaims
from workers.desk import Desk
from workers.dispatcher import CeleryWorkers
from workers.errand import Errand
from workers.sinks.http import HttpSender
from workflows.runtime import deliveries
from workflows.runtime.cluster import Hold
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.firing import Firing
from workflows.runtime.look_backs import LookBacks
from workflows.runtime.offering import Offering
from workflows.runtime.ports import Delivery
from workflows.runtime.postgres import PostgresRecords
from workflows.runtime.sqlite import SqliteRecords

FOLDER = Path(os.environ["LEMLINE_FAULTS"])
ROLE = os.environ["LEMLINE_FAULT_ROLE"]
CLOCK = FOLDER.parent / f"clock.{ROLE}"
CLAIMS = os.open(FOLDER.parent / "claims", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

ANY = "any"
"""Stands for whichever instance passes first."""


@activity("crash/visit")
def visit(url: str, *, context: Context) -> dict[str, str]:
    """Call the stub."""
    request = urllib.request.Request(url, b"", {"Idempotency-Key": context.idempotency_key}, method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()
    return {"visited": url.rpartition("/")[2]}


@activity("crash/poison")
def poison(url: str, antidote: str | None = None, *, context: Context) -> None:
    """Call the stub, and take the whole process along, unless there is a file of this name."""
    visit(url, context=context)
    if antidote and Path(antidote).exists():
        return
    os.kill(os.getpid(), signal.SIGKILL)


def pass_by(place: str, instances: Iterable[str]) -> bool:
    """Die here, if somebody asked for it; or return whether to leave undone what comes next."""
    return any(_meets(FOLDER / f"{ROLE}.{place}.{instance}") for instance in [*instances, ANY])


def _meets(order: Path) -> bool:
    try:
        left, number = map(int, order.read_text().split())
        if left:
            order.write_text(f"{left - 1} {number}")
            return False
        order.unlink()
    except (FileNotFoundError, ValueError):
        return False  # nobody asked, or another thread was first
    if number:
        # To this very thread: it goes no further.
        signal.pthread_kill(threading.get_ident(), number)
    return not number


def before(owner: type, method: str, place: str, instances: Callable[..., Iterable[str]]) -> None:
    """Make the beginning of a method a place."""
    original = getattr(owner, method)

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return None if pass_by(place, instances(*args)) else original(self, *args, **kwargs)

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


def note_claims() -> None:
    """Tell of every claim that is given, before anything is done with it."""
    original = RedisClaims.take

    def take(self: RedisClaims, holds: Sequence[Hold]) -> list[bool]:
        free = original(self, holds)
        _note(hold for hold, is_free in zip(holds, free, strict=True) if is_free)
        return free

    RedisClaims.take = take  # type: ignore[method-assign]


def note_continuations() -> None:
    """Tell of every activity that a process goes on with: the commit has said that it may."""
    original = Desk.go_on

    def go_on(self: Desk, errand: Errand, delivery: Delivery) -> None:
        _note([(delivery.instance_id, delivery.command.wait_id, delivery.command.ring)])
        original(self, errand, delivery)

    Desk.go_on = go_on  # type: ignore[method-assign]


def _note(holds: Iterable[Hold]) -> None:
    os.write(CLAIMS, "".join(f"{instance} {wait} {ring}\n" for instance, wait, ring in holds).encode())


def bend_the_clock() -> None:
    """Let the wall clock of this process be as wrong as its file says, wherever it is read."""
    original = time.time

    def bent() -> float:
        try:
            return original() + float(CLOCK.read_text())
        except (FileNotFoundError, ValueError):
            return original()

    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is original:
                setattr(module, name, bent)


def _of_message(message: Any) -> list[str]:
    return [item.instance_id for item in message.items]


def _of_deliveries(deliveries: Any) -> list[str]:
    return [delivery.instance_id for delivery in deliveries]


def _of_changes(changes: Any) -> list[str]:
    births = [birth.instance_id for birth, _, _ in changes.births]
    return [*births, *(after.instance_id for after in changes.checkpoints), *changes.removed]


bend_the_clock()
note_claims()
note_continuations()
before(Desk, "handle", "taken", _of_message)
after(RedisClaims, "take", "claimed", lambda holds: [hold[0] for hold in holds])
before(Desk, "tell", "ended", lambda errand, *_: [errand.item.instance_id])
for records in (PostgresRecords, SqliteRecords):
    before(records, "save", "saving", _of_changes)
    after(records, "save", "committed", _of_changes)
before(Firing, "start", "firing", lambda *_: [])
for records in (PostgresRecords, SqliteRecords):
    # Within the transaction that fires: the instances are written, and what says so is not.
    after(records, "write", "born", _of_changes)
before(Firing, "follow", "fired", lambda *_: [])
before(EventProcessor, "_work", "held", lambda *_: [])
after(Offering, "offer", "offered", lambda *_: [])
after(EventProcessor, "_work", "written", lambda *_: [])
after(LookBacks, "_offer_kept", "behind", lambda *_: [])
for verb, place in {"hold": "holding", "lanes": "looking", "settle": "settling"}.items():
    before(deliveries, verb, place, lambda *_: [])  # type: ignore[arg-type]  # a module has what it takes
before(HttpSender, "send", "sending", lambda letter: [str(letter.instance)])
after(deliveries, "settle", "stored", lambda *_: [])  # type: ignore[arg-type]  # likewise
before(Desk, "go_on", "kept", lambda _, delivery: [delivery.instance_id])
before(CeleryWorkers, "dispatch", "ringing", _of_deliveries)
after(CeleryWorkers, "dispatch", "published", _of_deliveries)
after(Desk, "handle", "settled", _of_message)
