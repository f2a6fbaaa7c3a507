"""What follows a commit: pools are rung, children begun, parents told, those who wait for an end woken.

All of it may be lost by a crash, and all of it may be done twice: the sweeper does again what is missing,
and every receiver recognises a repetition.
"""

import logging
from collections.abc import Callable, Sequence

import msgspec

from workflows.engine import State, facts
from workflows.engine.commands import Cancel, Command, ContinueLater, Finish, StartChild
from workflows.engine.problems import problem
from workflows.runtime.children import DROPPED, RESUMED, SUSPENDED, Children
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.endings import Endings
from workflows.runtime.ports import Dispatcher, DispatchError, Outbox
from workflows.runtime.records import Records
from workflows.runtime.step import Submit, Taken

log = logging.getLogger("lemline.consequences")

RING_AGAIN_SECONDS = 1.0
"""After a failed ring, when a timekeeper tries again."""


class Consequences:
    """Carries out commands after the commit that recorded them."""

    def __init__(
        self,
        records: Records,
        dispatcher: Dispatcher,
        clock: DatabaseClock,
        children: Children,
        endings: Endings,
        submit: Submit,
        outbox: Outbox,
    ) -> None:
        self._records = records
        self._dispatcher = dispatcher
        self._clock = clock
        self._children = children
        self._endings = endings
        self._submit = submit
        self._outbox = outbox
        self.run_ended: Callable[[str], None] = lambda _: None
        """Told of each instance that has ended and from whose end its definition's schedule counts."""

    def follow(self, taken: Sequence[Taken]) -> None:
        """Do what these steps asked for. Never raises: they are committed, whatever becomes of this."""
        self._ring(taken)
        for each in taken:
            if each.changed or each.rerung:
                self._carry_out(each)

    def _ring(self, taken: Sequence[Taken]) -> None:
        deliveries = [delivery for each in taken for delivery in each.deliveries()]
        if not deliveries:
            return
        try:
            self._dispatcher.dispatch(deliveries)
        except Exception as error:
            # Away, most often. Anything else would fail in the same way for the next batch, and is worth its trace.
            unexpected = None if isinstance(error, DispatchError) else error
            log.warning("broker.away", exc_info=unexpected, extra={"error": str(error), "waiting": len(deliveries)})
            self._postpone(sorted({delivery.instance_id for delivery in deliveries}))

    def _postpone(self, ids: Sequence[str]) -> None:
        try:
            self._records.postpone(ids, RING_AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001
            # The sweeper finds them: nobody holds these waits, and their queues move past them.
            self._records.rollback()
            log.warning("database.away", extra={"error": str(error), "waiting": len(ids)})

    def _carry_out(self, taken: Taken) -> None:
        for command in taken.errands():
            try:
                self._do(taken, command)
            except Exception as error:  # noqa: BLE001  (the sweeper finds what was left undone)
                log.warning("consequence.deferred", extra={"instance_id": taken.instance_id, "error": str(error)})
        before, after = taken.subject.state.status, taken.state.status
        if before != after and "suspended" in (before, after):
            self._pass_down(taken.state, after)

    def _do(self, taken: Taken, command: Command) -> None:
        match command:
            case StartChild() if command.wait_id in taken.state.waits:
                self._children.begin(taken.instance_id, taken.subject.priority, command)
            case ContinueLater():
                self._submit(taken.instance_id, facts.Continued(at=self._clock.now(), wait_id=command.wait_id))
            case Cancel(kind="activity"):
                self._dispatcher.cancel(taken.instance_id, command.wait_id)
            case Cancel(kind="child"):
                self._submit(command.child_id, facts.CancelRequested(at=self._clock.now(), reason=DROPPED))
            case Finish() if taken.state.is_final:
                self._finish(taken)
            case _:
                pass

    def _pass_down(self, state: State, status: str) -> None:
        """Suspend or resume the children that the instance waits for."""
        now = self._clock.now()
        for wait in state.waits.values():
            command = wait.command() if wait.kind == "child" else None
            if isinstance(command, StartChild):
                fact = (
                    facts.SuspendRequested(at=now, reason=SUSPENDED)
                    if status == "suspended"
                    else facts.ResumeRequested(at=now, reason=RESUMED)
                )
                self._submit(command.child_id, fact)

    def bury(self, instance_id: str, error: Exception) -> None:
        """Fault an instance whose step raised or could not be stored. Never raises: a database that refuses this
        too leaves the instance to the sweeper.
        """
        fault = problem("runtime", f"the step could not be taken: {type(error).__name__}: {error}")
        try:
            self._outbox.look()
            self._records.bury(
                instance_id,
                msgspec.json.encode(fault),
                fault.type,
                lambda grave: self._outbox.rows_of_grave(grave, fault),
            )
        except Exception:
            self._records.rollback()
            log.exception("grave.refused", extra={"instance_id": instance_id})
            return
        self._endings.announce(instance_id)
        try:
            self._children.tell_again(instance_id)
        except Exception:
            log.exception("consequence.deferred", extra={"instance_id": instance_id})

    def _finish(self, taken: Taken) -> None:
        self._endings.announce(taken.instance_id)
        if taken.state.parent_wait:
            self._children.tell_of(taken)
        schedule = taken.subject.registered.definition.schedule
        if schedule is not None and schedule.after is not None:
            self.run_ended(taken.instance_id)
