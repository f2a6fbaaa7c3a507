"""Takes steps: facts that arrive while one transaction commits are taken together by the next.

One stepper and one thread per process. A batch is whatever has arrived: one fact when idle, many under
load, with no timer in between. Each batch locks its instances in the order of their ids, advances them,
writes them with a few wide statements, commits, and only then rings, tells and answers.

Nothing that is handed over may be dropped: whoever did so waits for the answer, and counts as holding the
instance's activity for so long. A batch that failed leaves no trace of the attempt.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from workflows.engine import facts
from workflows.engine.expressions import SandboxNeeded, sandbox_forbidden
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.consequences import Consequences
from workflows.runtime.holding import Holding, go_on
from workflows.runtime.outages import is_outage
from workflows.runtime.ports import Keeper, Outcome, Settled
from workflows.runtime.records import Birth, Changes, ContentionError, Locked, Records, UnreachableError
from workflows.runtime.step import AnyFact, Due, Steps, Subject, Taken, view
from workflows.runtime.work import Pick, Work

log = logging.getLogger("lemline.stepper")

BATCH = 512
"""Instances in one transaction at most: beyond some hundred, rows get no cheaper and locks last longer."""

BATCH_BYTES = 32 * 1024 * 1024
"""States and inputs written by one transaction, more or less: a batch of the largest would not fit in memory."""

PATIENCE = 3
"""Batches that may pass over a row which somebody else holds, before it is taken alone, waiting."""

RECONNECT_SECONDS = 0.25
"""Pause between attempts to reach a database that is away. Facts wait in memory meanwhile."""

ASIDE = 4
"""Instances that may be advanced beside the batches at once, because an expression of theirs may not end."""

_VERBS = (facts.SuspendRequested, facts.ResumeRequested, facts.CancelRequested, facts.RetryRequested)
"""Facts that somebody asks for. One that cannot be stored is refused, and the instance goes on without it."""


@dataclass(slots=True)
class _Batch:
    """What became of each work. Counts once the transaction is committed."""

    locked: Locked
    changes: Changes = field(default_factory=Changes)
    done: list[tuple[Work, Taken | None]] = field(default_factory=list)
    """With None where there is no such instance."""

    busy: list[Work] = field(default_factory=list)
    slow: list[tuple[Work, Subject]] = field(default_factory=list)
    later: list[Work] = field(default_factory=list)


class Stepper:
    """The one place where instances change."""

    def __init__(self, records: Records, clock: DatabaseClock, steps: Steps, holding: Holding) -> None:
        self._records = records
        self._clock = clock
        self._steps = steps
        self._holding = holding
        self._inbox: queue.SimpleQueue[Work | Pick | None] = queue.SimpleQueue()
        self._picks: list[Pick] = []
        self._postponed: list[Work] = []
        self._aside = ThreadPoolExecutor(ASIDE, thread_name_prefix="aside")
        self._beside = 0
        """Works that are aside now."""

        self._is_saving = False
        """Whether the transaction at hand may have been committed unseen."""

        self._is_ending = False
        self._thread: threading.Thread | None = None
        self.consequences: Consequences
        """Set by whoever assembles the runtime: consequences submit facts, so the two know each other."""

        self.expect: Callable[[datetime], None] = lambda _: None
        """Told, after a commit, the earliest time at which something of it will be due."""

        self.expect_couriers: Callable[[], None] = lambda: None
        """Told, after a commit, that something of it is on its way to a sink."""

        self.expect_events: Callable[[], None] = lambda: None
        """Told, after a commit, that events of it have to be offered."""

    def start(self) -> None:
        """Begin to take what arrives."""
        self._thread = threading.Thread(target=self._run, name="stepper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what has arrived, then end."""
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join()
        self._aside.shutdown()

    def submit(
        self, instance_id: str, fact: AnyFact, settled: Settled | None = None, keeper: Keeper | None = None
    ) -> None:
        """Hand over a fact. `settled` is called in the stepper's thread and must be quick."""
        waiting = [] if settled is None else [(settled, fact)]
        self._inbox.put(Work(instance_id, [fact], waiting, [] if keeper is None else [keeper]))

    def submit_all(self, instance_id: str, given: Sequence[AnyFact], settled: Settled) -> None:
        """Hand over facts of one instance that are applied in this order, whatever else comes. `settled` is called
        for each of them.
        """
        self._inbox.put(Work(instance_id, list(given), [(settled, fact) for fact in given]))

    def begin(self, birth: Birth, settled: Settled) -> Work:
        """Hand over an instance that is to be; its first step is taken with its rows, unless it starts later."""
        due = Due()
        work = Work(birth.instance_id, [due], [(settled, due)], birth=birth)
        self._inbox.put(work)
        return work

    def pick(self, pick: Pick) -> None:
        """Have what is due be locked and stepped in one transaction, after what has arrived."""
        self._inbox.put(pick)

    def _run(self) -> None:
        while not self._is_ending or self._postponed or self._beside:
            self.turn()
        # Handed over while the last was taken: an activity handed back must be rung for. Once, for there are loops.
        if not self._inbox.empty():
            self.turn()

    def turn(self) -> None:
        """Take what has arrived, waiting only when there is nothing at all. Never raises."""
        works = self._drain()
        ready = [work for work in works if work.skipped < PATIENCE]
        # Before any is taken: one that is passed over now comes again with the next turn.
        stuck = [work for work in works if work.skipped >= PATIENCE]
        if ready:
            self.take(ready)
        for work in stuck:
            self.take([work], wait=True)
        picks, self._picks = self._picks, []
        for pick in picks:
            self._take_due(pick)

    def _drain(self) -> list[Work]:
        """Return one work per instance."""
        arrived: dict[str, Work] = {}
        postponed, self._postponed = self._postponed, []
        for work in postponed:
            self._gather(work, arrived)
        try:
            while len(arrived) < BATCH:
                arriving = self._inbox.get(block=not (arrived or self._picks))
                if arriving is None:
                    self._is_ending = True
                    break
                if isinstance(arriving, Pick):
                    self._picks.append(arriving)
                else:
                    self._gather(arriving, arrived)
        except queue.Empty:
            pass
        return list(arrived.values())

    def _gather(self, work: Work, arrived: dict[str, Work]) -> None:
        if work.is_aside:
            work.is_aside = False
            self._beside -= 1
        known = arrived.setdefault(work.instance_id, work)
        if known is not work and not known.join(work):
            self._postponed.append(work)

    def take(self, works: Sequence[Work], *, wait: bool = False, locked: Locked | None = None) -> None:
        """Take the steps of these works: together, or by halves when together fails. Never raises.

        Args:
            works: At most one per instance.
            wait: Whether to wait for rows that others hold.
            locked: What the transaction at hand has locked already; None to begin one.
        """
        while True:
            held, locked = locked, None
            self._is_saving = False
            try:
                self._steps.outbox.look()
                batch = self._store(works, held or self._lock(works, wait))
            except ContentionError as error:
                self._records.rollback()
                log.info("step.contended", extra={"error": str(error), "waiting": len(works)})
                if wait:
                    self._postpone(works)
                    return
            except Exception as error:  # noqa: BLE001  (logged, and found alone)
                self._records.rollback()
                if not isinstance(error, UnreachableError) and not is_outage(error):
                    self._divide(works, wait, error)
                    return
                self._await_database(works, error)
            else:
                self._follow(batch)
                return

    def _take_due(self, pick: Pick) -> None:
        """Lock what is due and nobody else holds, and take its steps by the same transaction. Never raises."""
        try:
            locked = self._records.lock_due(pick.limit, pick.but)
            self._clock.set(locked.now)
        except Exception as error:  # noqa: BLE001  (told)
            self._records.rollback()
            pick.done(error)
            return
        self.take(pick.works(list(locked.rows)), locked=locked)
        pick.done(None)

    def _postpone(self, works: Sequence[Work]) -> None:
        """Let others go first: whoever holds these rows may do so for long."""
        for work in works:
            work.skipped = 0
        self._postponed.extend(works)

    def _await_database(self, works: Sequence[Work], error: Exception) -> None:
        log.warning("database.away", extra={"error": str(error), "waiting": len(works)})
        for work in works:
            if isinstance(work.prepared, Exception):
                work.prepared = None
            if self._is_saving:
                work.uncertain = True
                if work.birth is not None:
                    work.birth = replace(work.birth, may_exist=True)
        threading.Event().wait(RECONNECT_SECONDS)

    def _divide(self, works: Sequence[Work], wait: bool, error: Exception) -> None:
        """Find the one that cannot be written, so that it fails alone; and try that one again before giving up."""
        if len(works) > 1:
            middle = len(works) // 2
            self.take(works[:middle], wait=wait)
            self.take(works[middle:], wait=wait)
            return
        [work] = works
        if len(work.facts) > 1:
            for part in work.parts():
                self.take([part], wait=wait)
            return
        work.failures += 1
        if work.failures == 1:
            work.prepared = None
            self.take([work], wait=wait)
        else:
            self._give_up(work, error)

    def _give_up(self, work: Work, error: Exception) -> None:
        log.error("step.failed", exc_info=error, extra={"instance_id": work.instance_id})
        if work.birth is None and not isinstance(work.facts[0], _VERBS):
            self.consequences.bury(work.instance_id, error)
        self._settle(work, Outcome(changed=False, error=error))

    def _store(self, works: Sequence[Work], locked: Locked) -> _Batch:
        """Advance these works, write and commit."""
        batch = _Batch(locked)
        with sandbox_forbidden():
            for work in works:
                self._add(work, batch)
        if batch.changes:
            self._is_saving = True
            self._records.save(batch.changes)
        else:
            self._records.rollback()
        return batch

    def _lock(self, works: Sequence[Work], wait: bool) -> Locked:
        # These insert a row now, so from here on they cannot be withdrawn.
        births = [work.birth for work in works if work.birth is not None and work.birth.may_exist and work.begun()]
        ids = sorted(work.instance_id for work in works if work.birth is None)
        locked = self._records.lock(ids, wait=wait, births=births)
        self._clock.set(locked.now)
        return locked

    def _add(self, work: Work, batch: _Batch) -> None:
        locked = batch.locked
        if work.instance_id in locked.busy:
            batch.busy.append(work)
            return
        is_begun = work.birth is not None and work.birth.may_exist
        if batch.changes.size_bytes > BATCH_BYTES and not is_begun:
            batch.later.append(work)
            return
        if work.birth is not None and not work.begun():
            return
        subject = self._subject(work, locked)
        if subject is None:
            batch.done.append((work, None))
            return
        taken = self._advance(work, subject, locked)
        if taken is None:
            batch.slow.append((work, subject))
            return
        self._holding.decide(taken, work.keepers)
        self._steps.write(taken, locked.now, batch.changes)
        batch.done.append((work, taken))

    def _subject(self, work: Work, locked: Locked) -> Subject | None:
        if work.birth is not None:
            return None if work.instance_id in locked.existing else self._steps.unborn(work.birth)
        row = locked.rows.get(work.instance_id)
        return None if row is None else self._steps.subject(row)

    def _advance(self, work: Work, subject: Subject, locked: Locked) -> Taken | None:
        """Return the subject after its facts; None when that has to happen beside the batches."""
        if work.prepared is not None and work.prepared_for == subject.step:
            if isinstance(work.prepared, Exception):
                raise work.prepared
            return work.prepared
        try:
            taken = self._steps.take(subject, work.facts, locked.now)
        except SandboxNeeded:
            return None if work.birth is None else self._steps.deferred(subject)
        taken.rerung = taken.rerung or (work.uncertain and not taken.changed)
        return taken

    def _prepare(self, work: Work, subject: Subject) -> None:
        """Advance an instance beside the batches, without its lock, and hand the result back."""
        work.prepared_for = subject.step
        try:
            work.prepared = self._steps.take(subject, work.facts, self._clock.now())
        except Exception as error:  # noqa: BLE001  (raised in the batch, where failures are dealt with)
            work.prepared = error
        self._inbox.put(work)

    def _follow(self, batch: _Batch) -> None:
        """Do what follows from a commit. Never raises: what is stored must not be taken again."""
        if batch.changes.due_at is not None:
            self.expect(batch.changes.due_at)
        if batch.changes.outgoing:
            self.expect_couriers()
        if batch.changes.events or batch.changes.listening:
            self.expect_events()
        self._put_off(batch)
        done = [taken for _, taken in batch.done if taken is not None]
        # First of all: whoever goes on is idle until told.
        go_on(done)
        self.consequences.follow(done)
        for work, taken in batch.done:
            if taken is None:
                self._answer_absent(work)
                continue
            if taken.deferred:
                self.submit(work.instance_id, Due())
            self._settle(
                work, Outcome(changed=taken.changed, rung=taken.rerung, view=view(taken, batch.locked.now)), taken
            )

    def _put_off(self, batch: _Batch) -> None:
        for work in batch.busy:
            work.skipped += 1
        self._postponed.extend([*batch.busy, *batch.later])
        for work, subject in batch.slow:
            work.prepared, work.is_aside = None, True
            self._beside += 1
            self._aside.submit(self._prepare, work, subject)

    def _answer_absent(self, work: Work) -> None:
        if work.birth is not None and work.uncertain:
            # The commit that looked lost may have happened: ring whatever it left open.
            self._inbox.put(Work(work.instance_id, [Due()], uncertain=True))
        self._settle(work, Outcome(changed=False, found=work.birth is not None))

    def _settle(self, work: Work, outcome: Outcome, taken: Taken | None = None) -> None:
        """Answer everybody who waits, each for their own fact."""
        for settled, fact in work.settled:
            is_ignored = taken is not None and taken.has_ignored(fact)
            try:
                settled(msgspec.structs.replace(outcome, changed=False) if is_ignored else outcome)
            except Exception:
                log.exception("answer.failed", extra={"instance_id": work.instance_id})
