"""Rings again for what nobody works on any more, and repairs what a crash left half told.

A ring is lost when its queue has moved past it (a later message was taken from that queue, or the queue
was seen empty), two thirds of a lease have gone by since that was seen, and no living process holds the
wait: each process reports within a third of a lease what it has held for longer than a third. There is no
verdict before each living process has reported late enough, nor before a silent one counts as dead: whoever
took the job may be either.

What a dead process had in hand is under suspicion, no more: it died of one of them at most. Where claims do not
tell what that was, all is suspected that it may have had. Suspects run where nothing else dies with them
(`workers/quarantine.py`), and are found guilty there; by the sweeper only where a dead process had said that it
was about to apply what one of them had given.
"""

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import DatabaseError

from workflows import models
from workflows.engine import State, Wait, decode_state, facts
from workflows.engine.commands import RunActivity, StartChild
from workflows.runtime.children import Children
from workflows.runtime.clock import ClockWatch, DatabaseClock
from workflows.runtime.cluster import Hold
from workflows.runtime.ports import DispatchError, Queues
from workflows.runtime.records import ContentionError, Records, Row, UnreachableError
from workflows.runtime.step import Submit

log = logging.getLogger("lemline.sweeper")

BATCH = 500
"""Checkpoints read at once."""

KEPT_LEASES = 100
"""Leases for which a dead process is remembered: longer than whoever starts crashed workers again waits for that. What
they had in hand is not missed before, since nobody moves their queue on.
"""


@dataclass(slots=True)
class Frontier:
    """Up to which stamp each queue is known to have been emptied, and since when that is known."""

    sightings: dict[str, deque[tuple[datetime, datetime]]] = field(default_factory=dict)
    """Queue to (when it was seen, stamp before which nothing was left)."""

    def see(self, queue: str, seen_at: datetime, stamp: datetime) -> None:
        """Note that nothing with an earlier stamp was left in a queue."""
        known = self.sightings.setdefault(queue, deque())
        if not known or stamp > known[-1][1]:
            known.append((seen_at, stamp))

    def passed(self, queue: str, stamp: datetime, before: datetime) -> bool:
        """Return whether a queue was seen past this stamp before a time."""
        for seen_at, past in self.sightings.get(queue, ()):
            if seen_at > before:
                break
            if stamp < past:
                return True
        return False

    def forget(self, before: datetime) -> None:
        """Forget sightings that one of before this time covers: an idle queue is seen empty once a second, for ever."""
        for known in self.sightings.values():
            while len(known) > 1 and known[1][0] <= before:
                known.popleft()


class Sweeper:
    """A thread that walks the instances with open work."""

    def __init__(
        self,
        records: Records,
        clock: DatabaseClock,
        queues: Queues,
        children: Children,
        submit: Submit,
        lease_seconds: float,
        deaths_limit: int,
    ) -> None:
        self._records = records
        self._clock = clock
        self._queues = queues
        self._children = children
        self._submit = submit
        self._lease = timedelta(seconds=lease_seconds)
        self._deaths_limit = deaths_limit
        self._frontier = Frontier()
        self._tolerance = self._lease / 6
        """Clocks that differ by less are one."""

        self._watch = ClockWatch(self._tolerance)
        self._watching_since: datetime | None = None
        """Since when this has looked without a break and by one clock; None before the first look."""

        self._living: frozenset[UUID] = frozenset()
        self._reports: Mapping[str, datetime] = {}
        """When each process reported last."""

        self._reported_at = datetime.max.replace(tzinfo=UTC)
        """The earliest of the last reports of all living processes."""

        self._dead: Sequence[models.Node] = ()
        """Processes that fell silent not long ago."""

        self._tried: AbstractSet[Hold] = frozenset()
        """The suspects that those died of."""

        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to walk."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause = min(1.0, self._lease.total_seconds() / 10)
        while not self._stopped.wait(pause):
            try:
                self.sweep()
            except (UnreachableError, ContentionError, DatabaseError) as error:
                # No verdict without a look: whoever came back with the database heartbeats first.
                self._frontier = Frontier()
                self._watching_since = None
                log.warning("sweeper.waits", extra={"error": str(error)})
            except Exception:
                # A mistake of ours must not end all recovery until somebody restarts the process.
                log.exception("sweeper.failed")

    def sweep(self) -> None:
        """Look once at everything whose time to be looked at has come."""
        now = self._records.now()
        self._clock.set(now)
        is_set = bool(self._watch.moved(now))
        if is_set:
            # What was seen when is worth nothing any more, and nobody has reported by this clock yet.
            self._frontier = Frontier()
        if is_set or self._watching_since is None:
            self._watching_since = now
        before = self._living
        held = self._look_at_nodes(now)
        self._look_at_queues(now)
        self._frontier.forget(now - self._lease * 2)
        # What the dead had in hand does not wait for its next turn.
        early = is_set or not before <= self._living
        last = ""
        while rows := self._records.open_work(BATCH, last, early=early):
            parents = self._parents(rows)
            for row in rows:
                self._judge_alone(row, held, parents, now)
            self._records.looked([row.instance_id for row in rows], self._lease.total_seconds() / 3)
            last = rows[-1].instance_id

    def _look_at_nodes(self, now: datetime) -> AbstractSet[Hold]:
        held: set[Hold] = set()
        nodes = list(models.Node.objects.all())
        # One heard of in the future died before the clock was set back: others have reported since.
        living = [node for node in nodes if now - self._lease < node.seen_at <= now + self._lease / 3]
        self._living = frozenset(node.pk for node in living)
        self._reports = {str(node.pk): node.seen_at for node in nodes}
        self._dead = [node for node in nodes if node.pk not in self._living]
        self._tried = {
            (instance, wait, ring) for node in self._dead if node.trying for instance, wait, ring in [node.trying]
        }
        self._reported_at = min((node.seen_at for node in living), default=now)
        for node in living:
            held.update((instance, wait, ring) for instance, wait, ring in node.held)
        for node in nodes:
            for queue, stamp in node.taken.items():
                if (taken := datetime.fromisoformat(stamp)) <= now:
                    self._frontier.see(queue, now, taken)
        models.Node.objects.filter(seen_at__lt=now - KEPT_LEASES * self._lease).delete()
        return held

    def _look_at_queues(self, now: datetime) -> None:
        try:
            depths = self._queues.depths()
        except DispatchError as error:
            log.warning("broker.away", extra={"error": str(error)})
            return
        for queue, depth in depths.items():
            if not depth:
                # What is rung by a transaction of a moment ago may be on its way to the queue only now.
                self._frontier.see(queue, now, now - self._lease / 10)

    def _parents(self, rows: Sequence[Row]) -> Mapping[str, Row]:
        """Read the parents that open children have to agree with."""
        children = models.Instance.objects.filter(pk__in=[row.instance_id for row in rows]).exclude(parent_wait="")
        ids = {str(parent) for parent in children.values_list("parent", flat=True)}
        return self._records.peek(sorted(ids)) if ids else {}

    def _judge_alone(self, row: Row, held: AbstractSet[Hold], parents: Mapping[str, Row], now: datetime) -> None:
        """Judge a row; one that cannot be read must not hide the others."""
        try:
            state = decode_state(row.state, row.input)
            if state.parent_wait:
                self._judge_kinship(state, parents)
            self._judge(row, state, held, now)
        except (UnreachableError, ContentionError, DatabaseError):
            raise
        except Exception:
            log.exception("sweeper.passes_over", extra={"instance_id": row.instance_id})

    def _judge_kinship(self, state: State, parents: Mapping[str, Row]) -> None:
        if state.is_final:
            self._children.tell_again(state.instance_id)
        else:
            self._children.agree(state, parents.get(state.parent))

    def _judge(self, row: Row, state: State, held: AbstractSet[Hold], now: datetime) -> None:
        if state.status == "suspended":
            return
        for wait_id, wait in state.waits.items():
            if wait.kind == "activity":
                if (row.instance_id, wait_id, wait.ring) not in held:
                    self._judge_activity(row, wait_id, wait, state.holders.get(wait_id), now)
            elif wait.kind == "child":
                self._judge_child(row, wait)
            elif wait.kind == "continue" and wait.rung_at and wait.rung_at < now - self._lease * 2 / 3:
                self._submit(row.instance_id, facts.Continued(at=now, wait_id=wait_id))

    def _judge_activity(self, row: Row, wait_id: str, wait: Wait, holder: str | None, now: datetime) -> None:
        command = wait.command()
        if not isinstance(command, RunActivity):
            return
        queue = self._queues.queue_of(command, row.priority)
        # What was rung since this look began is no older than it says; one from later yet knew another clock.
        is_of_this_clock = command.rung_at <= self._clock.now() + self._tolerance
        stamp = command.rung_at if is_of_this_clock else self._watching_since or now
        if holder is not None:
            is_lost = self._has_let_go(holder, stamp, now)
        else:
            seen_before = min(now - self._lease * 2 / 3, self._reported_at - self._lease / 3)
            is_lost = self._frontier.passed(queue, stamp, seen_before)
        if is_lost:
            hold = (row.instance_id, wait_id, wait.ring)
            log.info("ring.lost", extra=dict(zip(("instance_id", "wait", "ring"), hold, strict=True), queue=queue))
            self._submit(row.instance_id, self._verdict(hold, queue, command.rung_at, holder, now))

    def _verdict(
        self, hold: Hold, queue: str, rung_at: datetime, holder: str | None, now: datetime
    ) -> facts.ActivityLost:
        _, wait_id, ring = hold
        if hold in self._tried:
            return facts.ActivityLost(at=now, wait_id=wait_id, ring=ring, blamed=True, limit=self._deaths_limit)
        if holder is not None:
            return facts.ActivityLost(at=now, wait_id=wait_id, ring=ring, suspected=self._has_died(holder))
        suspected = self._queues.died_with(*hold)
        # Claims do not outlive a dead process for long, and its message may have been there for longer.
        if suspected is None or (not suspected and rung_at < now - self._lease * 2):
            suspected = self._may_have_died_with(queue, rung_at)
        return facts.ActivityLost(at=now, wait_id=wait_id, ring=ring, suspected=suspected)

    def _may_have_died_with(self, queue: str, rung_at: datetime) -> bool:
        """Return whether a process died that took from this queue and was heard of since this was rung, or might have
        been.
        """
        pool = queue.rpartition("/")[0]
        return any(pool in node.roles.split(",") and rung_at < node.seen_at + self._lease for node in self._dead)

    def _has_let_go(self, holder: str, since: datetime, now: datetime) -> bool:
        """Return whether what a process went on with, and does not report as held, is lost. No queue knows of it."""
        watching_since = self._watching_since or now
        if now - watching_since < self._lease * 2 / 3:
            # After an outage, or by a clock that was set, those that live have yet to report.
            return False
        reported_at = self._reports.get(holder)
        if reported_at is None:
            # It left in order, and what it handed back may be on its way.
            return since < now - self._lease * 2 / 3
        return self._has_died(holder) or max(since, watching_since) < reported_at - self._lease

    def _has_died(self, holder: str) -> bool:
        return any(str(node.pk) == holder for node in self._dead)

    def _judge_child(self, row: Row, wait: Wait) -> None:
        command = wait.command()
        if not isinstance(command, StartChild):
            return
        child = models.Instance.objects.filter(pk=command.child_id).first()
        if child is None or not command.awaited:
            self._children.begin(row.instance_id, row.priority, command)
        elif child.ended_at is not None:
            self._children.tell(child)
