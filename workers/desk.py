"""Where a worker process handles messages: which activities are still wanted, running them, telling the stepper."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings

from workers.activities import ActivityCall, ActivityResult, Limits, close
from workers.activities.calls import problem_of
from workers.claims import Claims
from workers.continuation import Continuation
from workers.crew import Crew
from workers.dispatcher import CeleryWorkers
from workers.errand import Bundle, Errand
from workers.limits import limits
from workers.loop import Loop
from workers.message import Item, Message, item_of
from workers.quarantine import DiedError, Quarantine, Trial
from workers.reader import Reader, Wanted
from workers.routing import routing
from workers.slots import Slots
from workflows.engine import facts
from workflows.runtime.cluster import Held, Hold
from workflows.runtime.ports import Delivery, DispatchError, Outcome
from workflows.runtime.process import Process
from workflows.runtime.records import ContentionError, UnreachableError
from workflows.runtime.secrets import reading

log = logging.getLogger("lemline.desk")

AGAIN_SECONDS = 0.25
"""Pause between attempts to read while the database is away: no job is begun without knowing that it is wanted."""


class HandedBackError(Exception):
    """The process stopped before a message was done: what is left of it is for another one."""


class Desk:
    """One per worker process; `handle` is called by the threads that take messages."""

    def __init__(self, process: Process, claims: Claims, max_size: int) -> None:
        ordering = settings.LEMLINE.execution.prioritization
        self.slots = Slots(max_size, routing(settings.LEMLINE).levels, ordering.aging_interval)
        self.loop = Loop(self.slots, close)
        self.is_closing = False
        self.opened: Callable[[], None] = _nothing
        """Called on a message's thread once it is known what is wanted of it."""

        self._process = process
        self._claims = claims
        self._presence = process.presence
        self._limits: Limits = limits(settings.LEMLINE)
        self._functions: Loop | None = None
        """Where functions that are coroutines run: one that blocks holds up its like, and no call."""

        self._reader = Reader(process.records)
        self._crew = Crew(max_size, self.slots)
        self._continuation = Continuation(settings.LEMLINE.execution, process.presence.roles, self.slots)
        self._fresh_seconds = settings.LEMLINE.execution.lease.total_seconds() / 2
        self._errands: dict[Hold, Errand] = {}
        self._lock = threading.Lock()
        self._quarantine = Quarantine()
        self._secrets = reading(process.secrets)

    def handle(self, message: Message) -> None:
        """Run what is still wanted of a message; returns when each outcome is committed.

        Raises:
            HandedBackError: This process stops, and somebody else has to run what is left.
        """
        self._presence.take(self._process.workers.queue_label(message.pool, message.level), message.stamp)
        if any(item.suspect for item in message.items):
            for item in message.items:
                self._try(msgspec.structs.replace(message, items=[item]))
        else:
            self._handle(message)

    def _try(self, message: Message) -> None:
        """Handle the message of a suspect, which has a place of its own to run in and takes none of the others'."""
        bundle = self._bundle_of(message)
        errands = self._reserved(self._wanted(message.items), bundle)
        self.opened()
        for errand in errands:
            trial = Trial(self._quarantine, self._presence.id, errand)
            try:
                errand.work()
                bundle.batch.wait_for_more()
            finally:
                trial.end()
            if bundle.returned and not bundle.is_passed_on:
                raise HandedBackError

    def _bundle_of(self, message: Message) -> Bundle:
        return Bundle(message, time.monotonic(), self._crew.batch([], message.level))

    def _handle(self, message: Message) -> None:
        bundle = self._bundle_of(message)
        errands = self._reserved(self._wanted(message.items), bundle)
        if not errands:
            return
        self.slots.expect(message.level, len(errands))
        self._run(errands, bundle, message.level)
        if bundle.returned and not bundle.is_passed_on:
            raise HandedBackError

    def _wanted(self, items: Sequence[Item]) -> Wanted:
        """Return those whose waits are open. One read for all."""
        while not self.is_closing:
            try:
                return self._reader.wanted(items)
            except (UnreachableError, ContentionError) as error:
                log.warning("database.away", extra={"error": str(error)})
                threading.Event().wait(AGAIN_SECONDS)
        raise HandedBackError

    def _reserved(self, wanted: Wanted, bundle: Bundle) -> list[Errand]:
        """Return errands for those that nobody else is running. This process holds them from here on, also those whose
        turn comes late: the sweeper must not think them lost.
        """
        now = self._process.clock.now()
        errands = [Errand(self, bundle, item, command) for item, command in wanted]
        free = self._claims.take([errand.hold for errand in errands]) if errands else []
        # Expected before any is held: whoever stops this process may hand it back from that moment on.
        bundle.expect(sum(free))
        return [errand for errand, is_free in zip(errands, free, strict=True) if is_free and self._hold(errand, now)]

    def _hold(self, errand: Errand, now: datetime) -> bool:
        """Note that this process holds an activity; False when another thread of it does."""
        held = Held(now, errand.cancelled.set)
        if self._presence.held.setdefault(errand.hold, held) is not held:
            errand.bundle.count_down()
            return False
        self._errands[errand.hold] = errand
        if self.is_closing:
            errand.cancelled.set()
        return True

    def _run(self, errands: Sequence[Errand], bundle: Bundle, level: int) -> None:
        waiting: dict[Loop, list[Callable[[], Coroutine[Any, Any, None]]]] = defaultdict(list)
        working: list[Callable[[], None]] = []
        for errand in errands:
            if errand.is_waiting:
                waiting[self._loop_of(errand)].append(errand.wait)
            else:
                working.append(errand.work)
        batch = bundle.batch
        batch.left.extend(working)
        self.slots.announce(sum(map(len, waiting.values())) + bool(working))
        self.opened()
        for loop, works in waiting.items():
            loop.start_all(works, level)
        if working:
            self._crew.run(batch)
        while batch.wait_for_more():
            self.slots.announce(1)
            self._crew.run(batch)

    def _loop_of(self, errand: Errand) -> Loop:
        if errand.command.kind != "function":
            return self.loop
        with self._lock:
            if self._functions is None:
                self._functions = Loop(self.slots, close)
            return self._functions

    def is_stale(self, errand: Errand) -> bool:
        """Return whether it was read so long ago that this process, had it slept since, may count as dead by now."""
        return time.monotonic() - errand.read_at > self._fresh_seconds

    def still_wants(self, errand: Errand) -> bool:
        """Read again whether it is wanted."""
        try:
            return bool(self._wanted([errand.item]))
        except HandedBackError:
            return False

    def begin(self, errand: Errand) -> ActivityCall:
        """Return what an activity is given."""
        now, item, command = self._process.clock.now(), errand.item, errand.command
        errand.begun_at = now
        left = None if command.deadline_at is None else max(0.0, (command.deadline_at - now).total_seconds())
        return ActivityCall(
            kind=command.kind, arguments=command.arguments, idempotency_key=command.idempotency_key,
            instance_id=item.instance_id, wait_id=item.wait_id, position=command.position, name=command.name,
            attempt=command.attempt, definition=item.definition, timeout_seconds=left, secrets=self._secrets,
            seal=item.seal, limits=self._limits, cancelled=errand.cancelled,
        )  # fmt: skip

    def tell(self, errand: Errand, result: ActivityResult | BaseException) -> None:
        """Hand an outcome to the stepper; the activity is held until it is committed."""

        def settled(outcome: Outcome) -> None:
            self._forget(errand)
            errand.bundle.count_down()

        # What was told to stop may hold its thread for long, and after a suspect its neighbours wait.
        may_go_on = self._continuation.is_on and not errand.item.suspect and not errand.cancelled.is_set()
        keeper = errand if may_go_on else None
        self._process.stepper.submit(errand.item.instance_id, self._fact(errand, result), settled, keeper)

    def keeps(self, errand: Errand, delivery: Delivery) -> bool:
        """Return whether to go on here with what an outcome makes ready."""
        return not self.is_closing and self._continuation.allows(errand, delivery)

    def go_on(self, errand: Errand, delivery: Delivery) -> None:
        """Begin that, now that it is committed: held from the commit on, and not claimed, since nobody was rung for it.
        It was known to be wanted when the commit said so.
        """
        bundle, level = errand.bundle, errand.bundle.message.level
        further = Errand(self, bundle, item_of(delivery), delivery.command, errand.turn + 1, errand.kept_at)
        bundle.expect_one_more()
        if not self._hold(further, delivery.command.rung_at):
            return
        self.slots.expect(level, 1)
        if further.is_waiting:
            self.slots.announce(1)
            self._loop_of(further).start_all([further.wait], level)
        else:
            self._crew.add(bundle.batch, further.work)

    def _fact(self, errand: Errand, result: ActivityResult | BaseException) -> facts.Fact:
        """Return what the engine is told."""
        now, worker, wait_id = self._process.clock.now(), self._presence.name, errand.item.wait_id
        if isinstance(result, ActivityResult):
            return facts.ActivitySucceeded(
                at=now, wait_id=wait_id, output=result.output, worker=worker, started_at=errand.begun_at
            )
        if isinstance(result, DiedError):
            log.warning("suspect.died", extra={"instance_id": errand.item.instance_id, "wait": wait_id})
            limit = settings.LEMLINE.execution.max_recoveries
            return facts.ActivityLost(at=now, wait_id=wait_id, ring=errand.item.ring, blamed=True, limit=limit)
        answered, trouble = problem_of(result)
        return facts.ActivityFailed(
            at=now, wait_id=wait_id, problem=trouble, answered=answered, worker=worker, started_at=errand.begun_at
        )

    def release(self, errand: Errand) -> None:
        """Hold an activity no longer; another process may begin it at once."""
        self._forget(errand)
        if errand.turn:
            self._ring_for(errand)
        else:
            self._claims.release([errand.hold])

    def _ring_for(self, errand: Errand) -> None:
        """Hand back what was gone on with: no message brought it, so it needs a ring of its own."""
        lost = facts.ActivityLost(at=self._process.clock.now(), wait_id=errand.item.wait_id, ring=errand.item.ring)
        self._process.stepper.submit(errand.item.instance_id, lost)

    def _forget(self, errand: Errand) -> None:
        self._presence.held.pop(errand.hold, None)
        self._errands.pop(errand.hold, None)

    def hand_back_waiting(self) -> None:
        """Begin nothing more: what has not begun yet is for others, at once."""
        self.is_closing = True
        left: dict[Bundle, list[Errand]] = defaultdict(list)
        for errand in list(self._errands.values()):
            if not errand.withdraw():
                continue
            if errand.turn:
                self.release(errand)
                errand.bundle.count_down()
            else:
                left[errand.bundle].append(errand)
        for bundle, errands in left.items():
            self._claims.release([errand.hold for errand in errands])
            self.pass_on(msgspec.structs.replace(bundle.message, items=[errand.item for errand in errands]))
            for errand in errands:
                self._forget(errand)
                bundle.count_down()

    def hand_back(self, patience_seconds: float = 1.0) -> None:
        """Stop what still runs, for others to run. What ends well meanwhile is told as always.

        Args:
            patience_seconds: How long it may take to stop; whatever does not is given up.
        """
        self.is_closing = True
        for errand in list(self._errands.values()):
            log.info("activity.handed_back", extra={"instance_id": errand.item.instance_id})
            errand.cancelled.set()
        deadline = time.monotonic() + patience_seconds
        while self._errands and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        self._give_up(list(self._errands.values()))

    def _give_up(self, deaf: Sequence[Errand]) -> None:
        """Pass on what does not stop: its thread may never come to that."""
        for bundle in {errand.bundle for errand in deaf}:
            bundle.is_passed_on = True
        for errand in deaf:
            errand.abandon()
        for bundle in {errand.bundle for errand in deaf}:
            self.pass_on(bundle.message)

    def pass_on(self, message: Message) -> None:
        """Send a message that was handed back to whoever takes it next, who drops what was settled. Never raises: a
        broker that is away leaves it to the sweeper.
        """
        workers = self._process.workers
        if isinstance(workers, CeleryWorkers):
            try:
                workers.publish([message])
            except DispatchError as error:
                log.warning("broker.away", extra={"error": str(error)})

    def stop(self, seconds: float) -> None:
        """Hand back what still runs, and end the threads. Python functions may ignore it."""
        self.hand_back(seconds)
        self.loop.stop(seconds)
        self._reader.stop()
        if self._functions is not None:
            self._functions.stop(seconds)


def _nothing() -> None:
    """Nobody wants to know."""


_desk: Desk | None = None


def open_desk(process: Process, claims: Claims, max_size: int) -> Desk:
    """Make this process one that runs activities."""
    global _desk
    _desk = Desk(process, claims, max_size)
    return _desk


def has_desk() -> bool:
    """Return whether this process runs activities."""
    return _desk is not None


def desk() -> Desk:
    """Return this process's desk. RuntimeError in a process that was not started for any pool."""
    if _desk is None:
        raise RuntimeError("start workers with `manage.py lemline worker --roles ...`: this process takes no jobs")
    return _desk
