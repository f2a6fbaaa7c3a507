"""`run: workflow`: instances that other instances begin, and how their ends reach them.

A parent that is cancelled, suspended or resumed says so to its children, after its commit. A child that was not
there yet looks at its parent, after its own. So one of them sees the other; what a crash leaves undone, the sweeper
finds in the same way.
"""

import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from workflows import models
from workflows.dsl.jsontext import decode, encode
from workflows.engine import State, decode_state, facts
from workflows.engine.commands import StartChild
from workflows.engine.problems import Problem, problem
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.ports import Outcome
from workflows.runtime.records import Birth, Records, Row
from workflows.runtime.step import Begin, Submit, Taken, Told

log = logging.getLogger("lemline.children")

Ending = Literal["completed", "faulted", "cancelled"]

DROPPED = "the parent dropped it"
SUSPENDED = "the parent was suspended"
RESUMED = "the parent goes on"

Find = Callable[[str, str, str], models.Definition | None]
"""Namespace, name and version (or `latest`) to the registered definition."""


class Children:
    """Begins children and tells parents. What is lost here, the sweeper finds and does again."""

    def __init__(self, records: Records, clock: DatabaseClock, begin: Begin, submit: Submit, find: Find) -> None:
        self._records = records
        self._clock = clock
        self._find = find
        self._begin = begin
        self._submit = submit

    def begin(self, parent_id: str, priority: int, command: StartChild) -> None:
        """Begin a child. Its id follows from parent and wait, so a second start finds the first."""
        definition = self._find(command.namespace, command.name, command.version)
        if definition is None:
            self._refuse(parent_id, command)
            return
        birth = Birth(
            instance_id=command.child_id,
            definition=definition.pk,
            namespace=definition.namespace,
            workflow=definition.name,
            version=definition.version,
            priority=priority,
            labels="{}",
            input=encode(command.input),
            created_at=self._clock.now(),
            parent=parent_id,
            parent_wait=command.wait_id if command.awaited else "",
            may_exist=True,
        )
        self._begin(birth, lambda outcome: self._begun(parent_id, command, outcome))

    def _begun(self, parent_id: str, command: StartChild, outcome: Outcome) -> None:
        if outcome.error is not None:
            fault = problem("runtime", f"the child could not be begun: {outcome.error}")
            self._end(parent_id, command, fault)
        elif not command.awaited:
            self._submit(parent_id, facts.ChildStarted(at=self._clock.now(), wait_id=command.wait_id))
        elif outcome.changed:
            self._look_up(parent_id, command)

    def _look_up(self, parent_id: str, command: StartChild) -> None:
        """Have a child that has just begun agree with its parent."""
        parent = self._records.peek([parent_id]).get(parent_id)
        self._agree(command.child_id, "running", command.wait_id, parent)

    def agree(self, child: State, parent: Row | None) -> None:
        """Have an open child agree with its parent.

        Args:
            child: Of an instance whose parent waits for it, as far as it knows.
            parent: None when there is none any more.
        """
        self._agree(child.instance_id, child.status, child.parent_wait, parent)

    def _agree(self, child_id: str, status: str, wait_id: str, parent: Row | None) -> None:
        now = self._clock.now()
        state = None if parent is None or parent.parked else decode_state(parent.state, parent.input)
        if state is None or wait_id not in state.waits:
            self._submit(child_id, facts.CancelRequested(at=now, reason=DROPPED))
        elif state.status == "suspended" and status != "suspended":
            self._submit(child_id, facts.SuspendRequested(at=now, reason=SUSPENDED))
        elif state.status != "suspended" and status == "suspended" and _follows_parent(child_id):
            self._submit(child_id, facts.ResumeRequested(at=now, reason=RESUMED))

    def _refuse(self, parent_id: str, command: StartChild) -> None:
        named = f"{command.namespace}/{command.name}:{command.version}"
        self._end(parent_id, command, problem("configuration", f"the workflow {named} is not registered"))

    def _end(self, parent_id: str, command: StartChild, fault: Problem) -> None:
        fact = facts.ChildEnded(at=self._clock.now(), wait_id=command.wait_id, status="faulted", problem=fault)
        self._submit(parent_id, fact)

    def tell_again(self, child_id: str) -> None:
        """Tell the parent of an instance that it has ended, if it has and there is one that waits."""
        child = models.Instance.objects.filter(pk=child_id).first()
        if child is not None and child.parent_wait and child.ended_at is not None:
            self.tell(child)

    def tell(self, child: models.Instance) -> None:
        """Tell the parent of a child's end; the child is let go once the parent's step is committed."""
        fact = facts.ChildEnded(
            at=self._clock.now(),
            wait_id=child.parent_wait,
            status=_ended(child.status),
            output=None if child.output is None else decode(bytes(child.output)),
            problem=None if child.problem is None else msgspec.json.decode(bytes(child.problem), type=Problem),
        )
        self._submit(str(child.parent), fact, lambda outcome: self._told(str(child.pk), outcome))

    def tell_of(self, taken: Taken) -> None:
        """Tell the parent of the instance that this step has ended."""
        state = taken.state
        fact = facts.ChildEnded(
            at=self._clock.now(),
            wait_id=state.parent_wait,
            status=_ended(state.status),
            output=state.output,
            problem=state.problem,
        )
        self._submit(state.parent, fact, lambda outcome: self._told(taken.instance_id, outcome))

    def _told(self, child_id: str, outcome: Outcome) -> None:
        if outcome.error is None:
            self._submit(child_id, Told())


def _follows_parent(child_id: str) -> bool:
    """Return whether it was suspended with its parent, and not by somebody of its own."""
    phases = models.History.objects.filter(instance=child_id, is_phase=True).order_by("-step", "-ordinal")
    last = phases.values_list("status", "by", "reason").first()
    return last == ("suspended", "", SUSPENDED)


def _ended(status: str) -> Ending:
    match status:
        case "completed" | "faulted" | "cancelled":
            return status
        case _:
            raise ValueError(f"an instance that is {status} has not ended")
