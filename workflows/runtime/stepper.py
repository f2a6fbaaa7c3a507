"""Takes steps: facts that arrive while one transaction commits are taken together by the next.

One stepper and one thread per process. A batch is whatever has arrived: one fact when idle, many under
load, with no timer in between. Each batch locks its instances in the order of their ids, advances them,
writes them with a few wide statements, commits, and only then rings, tells and answers.
"""

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

from workflows.engine.expressions import SandboxNeeded, sandbox_forbidden
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.consequences import Consequences
from workflows.runtime.ports import Outcome, Settled
from workflows.runtime.records import Birth, Changes, ContentionError, Locked, Records, UnreachableError
from workflows.runtime.step import AnyFact, Due, Steps, Subject, Taken, view

log = logging.getLogger("lemline.stepper")

BATCH = 512
"""Instances in one transaction at most: beyond some hundred, rows get no cheaper and locks last longer."""

PATIENCE = 3
"""Batches that may pass over a row which somebody else holds, before it is taken alone, waiting."""

RECONNECT_SECONDS = 0.25
"""Pause between attempts to reach a database that is away. Facts wait in memory meanwhile."""

ASIDE = 4
"""Instances that may be advanced beside the batches at once, because an expression of theirs may not end."""


_stage_lock = threading.Lock()


@dataclass(slots=True)
class Work:
    """One instance's share of a batch."""

    instance_id: str
    facts: list[AnyFact] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    birth: Birth | None = None
    prepared: Taken | None = None
    """Facts that were applied beside the batches already; counts if the step number is still the same."""

    skipped: int = 0
    uncertain: bool = False
    """Whether a commit that held it may have happened unseen."""

    stage: Literal["waiting", "begun", "withdrawn"] = "waiting"

    def begun(self) -> bool:
        """Take it for good, unless it was withdrawn."""
        with _stage_lock:
            if self.stage == "waiting":
                self.stage = "begun"
            return self.stage == "begun"

    def withdraw(self) -> bool:
        """Take it back, unless it was begun: then it is or will be stored."""
        with _stage_lock:
            if self.stage == "waiting":
                self.stage = "withdrawn"
            return self.stage == "withdrawn"

    def settle(self, outcome: Outcome) -> None:
        """Answer everybody who waits for it."""
        for settled in self.settled:
            settled(outcome)

    def join(self, later: "Work") -> bool:
        """Take over what arrived later for the same instance; False when the two cannot be one step."""
        if later.birth is not None or later.prepared is not None:
            return False
        self.facts.extend(later.facts)
        self.settled.extend(later.settled)
        return True


class Stepper:
    """The one place where instances change."""

    def __init__(self, records: Records, clock: DatabaseClock, steps: Steps) -> None:
        self._records = records
        self._clock = clock
        self._steps = steps
        self._inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._postponed: list[Work] = []
        self._aside = ThreadPoolExecutor(ASIDE, thread_name_prefix="aside")
        self._thread: threading.Thread | None = None
        self.consequences: Consequences
        """Set by whoever assembles the runtime: consequences submit facts, so the two know each other."""

    def start(self) -> None:
        """Begin to take what arrives."""
        self._thread = threading.Thread(target=self._run, name="stepper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what has arrived, then end."""
        self._aside.shutdown()
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join()

    def submit(self, instance_id: str, fact: AnyFact, settled: Settled | None = None) -> None:
        """Hand over a fact. `settled` is called in the stepper's thread and must be quick."""
        self._inbox.put(Work(instance_id, [fact], [] if settled is None else [settled]))

    def begin(self, birth: Birth, settled: Settled) -> Work:
        """Hand over an instance that is to be; its first step is taken with its rows, unless it starts later."""
        work = Work(birth.instance_id, [Due()], [settled], birth)
        self._inbox.put(work)
        return work

    def _run(self) -> None:
        while True:
            works, ended = self._drain()
            ready = [work for work in works if work.skipped < PATIENCE]
            if ready:
                self.take(ready)
            for work in works:
                if work.skipped >= PATIENCE:
                    self.take([work], wait=True)
            if ended and not self._postponed:
                return
            if ended:
                self._inbox.put(None)

    def _drain(self) -> tuple[list[Work], bool]:
        """Return what has arrived, one work per instance, waiting only when there is nothing at all."""
        arrived = {work.instance_id: work for work in self._postponed}
        self._postponed = []
        try:
            while len(arrived) < BATCH:
                work = self._inbox.get(block=not arrived)
                if work is None:
                    return list(arrived.values()), True
                known = arrived.setdefault(work.instance_id, work)
                if known is not work and not known.join(work):
                    self._postponed.append(work)
        except queue.Empty:
            pass
        return list(arrived.values()), False

    def take(self, works: Sequence[Work], *, wait: bool = False) -> None:
        """Take the steps of these works: together, or by halves when together fails. Never raises.

        Args:
            works: At most one per instance.
            wait: Whether to wait for rows that others hold.
        """
        while True:
            try:
                self._take(works, wait)
            except ContentionError:
                self._records.rollback()
            except UnreachableError as error:
                self._records.rollback()
                self._await_database(works, error)
            except Exception as error:  # noqa: BLE001  (logged, and found alone)
                self._records.rollback()
                self._divide(works, wait, error)
                return
            else:
                return

    def _await_database(self, works: Sequence[Work], error: UnreachableError) -> None:
        log.warning("database.away", extra={"error": str(error), "waiting": len(works)})
        for work in works:
            work.uncertain = True
            if work.birth is not None:
                work.birth = replace(work.birth, may_exist=True)
        threading.Event().wait(RECONNECT_SECONDS)

    def _divide(self, works: Sequence[Work], wait: bool, error: Exception) -> None:
        """Find the one that cannot be written, so that it fails alone."""
        if len(works) > 1:
            middle = len(works) // 2
            self.take(works[:middle], wait=wait)
            self.take(works[middle:], wait=wait)
            return
        [work] = works
        log.error("step.failed", exc_info=error, extra={"instance_id": work.instance_id})
        self.consequences.bury(work.instance_id, error)
        work.settle(Outcome(changed=False, error=error))

    def _take(self, works: Sequence[Work], wait: bool) -> None:
        locked = self._lock(works, wait)
        changes = Changes()
        with sandbox_forbidden():
            done = list(self._advanced(works, locked, changes))
        if changes:
            self._records.save(changes)
        else:
            self._records.rollback()
        self._follow(done, locked)

    def _advanced(self, works: Sequence[Work], locked: Locked, changes: Changes) -> Iterator[tuple[Work, Taken | None]]:
        """Yield the works that are done with, and what became of each; None where there is no such instance."""
        for work in works:
            if work.birth is not None and not work.begun():
                continue
            if work.instance_id in locked.busy:
                work.skipped += 1
                self._postponed.append(work)
                continue
            subject = self._subject(work, locked)
            taken = None if subject is None else self._advance(work, subject, locked)
            if subject is None:
                yield work, None
            elif taken is not None:
                self._steps.write(taken, locked.now, changes)
                yield work, taken

    def _lock(self, works: Sequence[Work], wait: bool) -> Locked:
        # These insert a row now, so from here on they cannot be withdrawn.
        births = [work.birth for work in works if work.birth is not None and work.birth.may_exist and work.begun()]
        ids = sorted(work.instance_id for work in works if work.birth is None)
        locked = self._records.lock(ids, wait=wait, births=births)
        self._clock.set(locked.now)
        return locked

    def _subject(self, work: Work, locked: Locked) -> Subject | None:
        if work.birth is not None:
            return None if work.instance_id in locked.existing else self._steps.unborn(work.birth)
        row = locked.rows.get(work.instance_id)
        return None if row is None else self._steps.subject(row)

    def _advance(self, work: Work, subject: Subject, locked: Locked) -> Taken | None:
        prepared, work.prepared = work.prepared, None
        if prepared is not None and prepared.subject.step == subject.step:
            return prepared
        try:
            taken = self._steps.take(subject, work.facts, locked.now)
        except SandboxNeeded:
            if work.birth is not None:
                return self._steps.deferred(subject, locked.now)
            self._aside.submit(self._prepare, work, subject)
            return None
        taken.rerung = taken.rerung or (work.uncertain and not taken.changed)
        return taken

    def _prepare(self, work: Work, subject: Subject) -> None:
        """Advance an instance beside the batches, without its lock, and hand the result back."""
        try:
            work.prepared = self._steps.take(subject, work.facts, self._clock.now())
        except Exception as error:
            log.error("step.failed", exc_info=error, extra={"instance_id": work.instance_id})
            self.consequences.bury(work.instance_id, error)
            work.settle(Outcome(changed=False, error=error))
        else:
            self._inbox.put(work)

    def _follow(self, done: Sequence[tuple[Work, Taken | None]], locked: Locked) -> None:
        self.consequences.follow([taken for _, taken in done if taken is not None])
        for work, taken in done:
            if taken is None:
                self._answer_absent(work)
                continue
            if taken.deferred:
                self.submit(work.instance_id, Due())
            work.settle(Outcome(changed=taken.changed, view=view(taken, locked.now)))

    def _answer_absent(self, work: Work) -> None:
        if work.birth is not None and work.uncertain:
            # The commit that looked lost may have happened: ring whatever it left open.
            self.submit(work.instance_id, Due())
        work.settle(Outcome(changed=False, found=work.birth is not None))
