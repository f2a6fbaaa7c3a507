"""What waits for the stepper: facts of one instance, or the wish to take what is due."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from workflows.runtime.ports import Keeper, Outcome, Settled
from workflows.runtime.records import Birth
from workflows.runtime.step import AnyFact, Due, Taken

_stage_lock = threading.Lock()


@dataclass(slots=True)
class Work:
    """One instance's share of a batch."""

    instance_id: str
    facts: list[AnyFact] = field(default_factory=list)
    settled: list[tuple[Settled, AnyFact]] = field(default_factory=list)
    """Who waits for what became of which fact."""

    keepers: list[Keeper] = field(default_factory=list)
    """Who may go on with what these facts make ready."""

    birth: Birth | None = None
    prepared: Taken | Exception | None = None
    """What came of the facts beside the batches; counts if the step number is still the same."""

    prepared_for: int = -1
    """That step number."""

    is_aside: bool = False
    skipped: int = 0
    failures: int = 0
    """How often it failed alone."""

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

    def join(self, later: "Work") -> bool:
        """Take over what arrived later for the same instance; False when the two cannot be one step.

        A birth may find that its instance is there already, and what was prepared knows of its own facts only.
        """
        if any(work.birth is not None or work.prepared is not None for work in (self, later)):
            return False
        self.facts.extend(later.facts)
        self.settled.extend(later.settled)
        self.keepers.extend(later.keepers)
        return True

    def parts(self) -> "list[Work]":
        """Return a work per fact. What they make ready is rung for."""
        return [
            Work(self.instance_id, [fact], [pair for pair in self.settled if pair[1] is fact], uncertain=self.uncertain)
            for fact in self.facts
        ]


@dataclass(frozen=True, slots=True)
class Pick:
    """A share of what is due, taken by whoever locks it first. Each is called in the stepper's thread."""

    limit: int
    """Instances at most."""

    but: Sequence[str]
    """Instances to leave alone."""

    found: Callable[[Sequence[str]], None]
    """Told which were locked, before they are stepped."""

    settled: Callable[[str, Outcome], None]
    """Told what became of each of them."""

    done: Callable[[Exception | None], None]
    """Told, last, that the transaction is over; with the error when nothing could be locked."""

    def works(self, ids: Sequence[str]) -> list[Work]:
        """Return a work for each of these."""
        self.found(ids)
        return [self._work(instance) for instance in ids]

    def _work(self, instance: str) -> Work:
        due = Due()
        return Work(instance, [due], [(partial(self.settled, instance), due)])
