"""`run: workflow`: instances that other instances begin, and how their ends reach them."""

from collections.abc import Callable
from typing import Literal

import msgspec

from workflows import models
from workflows.dsl.jsontext import decode, encode
from workflows.engine import facts
from workflows.engine.commands import StartChild
from workflows.engine.problems import Problem, problem
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.ports import Outcome
from workflows.runtime.records import Birth
from workflows.runtime.step import Begin, Submit, Taken, Told

Ending = Literal["completed", "faulted", "cancelled"]

Find = Callable[[str, str, str], models.Definition | None]
"""Namespace, name and version (or `latest`) to the registered definition."""


class Children:
    """Begins children and tells parents. What is lost here, the sweeper finds and does again."""

    def __init__(self, clock: DatabaseClock, begin: Begin, submit: Submit, find: Find) -> None:
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
        if not command.awaited and outcome.error is None:
            self._submit(parent_id, facts.ChildStarted(at=self._clock.now(), wait_id=command.wait_id))

    def _refuse(self, parent_id: str, command: StartChild) -> None:
        named = f"{command.namespace}/{command.name}:{command.version}"
        fault = problem("configuration", f"the workflow {named} is not registered")
        fact = facts.ChildEnded(at=self._clock.now(), wait_id=command.wait_id, status="faulted", problem=fault)
        self._submit(parent_id, fact)

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


def _ended(status: str) -> Ending:
    match status:
        case "completed" | "faulted" | "cancelled":
            return status
        case _:
            raise ValueError(f"an instance that is {status} has not ended")
