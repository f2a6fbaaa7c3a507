"""The driver: does what handlers decide, and alone moves between tasks.

It applies the data flow, flow directives, extensions, timeouts, unwinding to a `catch` and
cancellation, so each of these rules has one home. Nothing here recurses: what follows from a move is
the next turn of `_follow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from workflows.dsl import jsontext, model
from workflows.engine import data_flow, entries, extending, flow, listening, parking
from workflows.engine.commands import ContinueLater
from workflows.engine.data import Data
from workflows.engine.draft import Draft
from workflows.engine.facts import EventArrived, Fact
from workflows.engine.handlers import HANDLERS
from workflows.engine.moves import Answered, EndAll, Ended, Entered, Failing, GoOn, Heard, Move, Turn, Unwrapped
from workflows.engine.outcomes import (
    Ask,
    Begin,
    Branch,
    Done,
    Handled,
    Outcome,
    Publishing,
    Satisfied,
    Sleep,
    Stay,
    Subscribing,
)
from workflows.engine.plan import Node
from workflows.engine.problems import Problem, ProblemError
from workflows.engine.scope import Scope
from workflows.engine.state import Attempts, Entry, Extended, Frame, Listening, Parked
from workflows.engine.step import Mark

MOVES_LIMIT = 1000
"""Tasks entered in one step. Part of every recorded history: another number is another engine."""


class Driver(Draft):
    """Moves one instance through one step."""

    moves = 0

    def run(self) -> None:
        """Enter what is to be entered, until all that is left waits."""
        agenda = self.state.agenda
        while agenda:
            if self.moves >= MOVES_LIMIT:
                self._continue_later()
                return
            self.moves += 1
            self._enter(agenda.pop())

    def answered(self, id: int, fact: Fact) -> None:
        """Give a frame the answer to its wait."""
        self._apply(id, Answered(fact))

    def hears(self, id: int, fact: EventArrived) -> Listening | None:
        """Return what an event would make of a listener; None when it does not concern it."""
        return listening.heard(self.scope(id), fact, self.complain)

    def hear(self, id: int, fact: EventArrived) -> bool:
        """Offer an event to a listener, and return whether it concerns it."""
        if (after := self.hears(id, fact)) is not None:
            self._apply(id, Heard(after, fact))
        return after is not None

    def fail(self, id: int, problem: Problem) -> None:
        """Let the task of a frame fail."""
        self._follow(self._fail(id, problem))

    def fail_attempt(self, id: int, problem: Problem) -> None:
        """Let a `try` fail as if one of its tasks had."""
        failing = self._failing_at(id, problem)
        self.drop_below(id, keys_matter=True)
        self._apply(id, failing)

    def fail_for_good(self, id: int, problem: Problem) -> None:
        """Fault the instance at a frame, whatever would catch it."""
        failing = msgspec.structs.replace(self._failing_at(id, problem), catchable=False)
        self._follow(self._unwind(id, failing))

    def cancel_instance(self, *, reason: str, by: str) -> None:
        """End the instance as cancelled."""
        state = self.state
        if state.frames:
            state.parked = parking.parked(state.frames, state.agenda, 0)
            root = next(iter(state.frames))
            for held in state.held:
                self.note_unknown(held.wait.frame, held.wait)
            self.drop_below(root, keys_matter=True)
            self.close(root, "cancelled")
        self.finish("cancelled", reason=reason, by=by)

    def take_up(self, again: Parked, *, is_edited: bool) -> None:
        """Go on with what a faulted or cancelled instance kept.

        Its frames get new ids, its timeouts begin anew, and a task whose input was edited has new keys.
        """
        state = self.state
        state.frames, state.agenda[:], state.counter = parking.renumbered(again, state.counter)
        if is_edited:
            self.forget_keys(entries.path_of_entry(state, state.agenda[again.entries.index(again.origin)]))
        state.parked = state.problem = None
        self.mark_all("retried")
        for id in list(state.frames):
            if id in state.frames:
                try:
                    self._limit_again(id)
                except ProblemError as error:
                    self.fail(id, error.problem)

    def _limit_again(self, id: int) -> None:
        self.open_timeout(id)
        scope = self.scope(id)
        task, memo = scope.node.task, scope.frame.memo
        if isinstance(task, model.TryTask) and isinstance(memo, Attempts) and not memo.catching:
            for timer in flow.timers_of_try(scope, task):
                self.open_timer(id, timer)
        elif isinstance(memo, Listening) and not memo.is_done:
            self.subscribe(id, memo)

    def _continue_later(self) -> None:
        """Go on in a step of its own, so that no loop holds a worker."""
        if not any(wait.kind == "continue" for wait in self.state.waits.values()):
            self.state.counter += 1
            command = ContinueLater(wait_id=f"{self.state.counter}.continue", rung_at=self.at)
            self.open_wait(command, 0)

    def _enter(self, entry: Entry) -> None:
        state = self.state
        state.counter = id = state.counter + 1
        data = entry.input
        state.frames[id] = frame = Frame(
            entry.position, entry.parent, data, data, self.at, entry.attempt, entry.iteration, entry.jumps
        )
        if entry.parent:
            self.marks.append(Mark(len(self.records), "begun", frame))
        self._apply(id, _ENTERED)

    def _apply(self, id: int, move: Move) -> None:
        self._follow((id, move))

    def _follow(self, turn: Turn | None) -> None:
        """Do what was decided about a frame, and all that follows before another task is entered."""
        while turn is not None:
            id, move = turn
            try:
                turn = _MOVES[type(move)](self, id, move)
            except ProblemError as error:
                turn = self._fail(id, error.problem)

    def _entered(self, id: int, _: Entered) -> Turn | None:
        scope = self.scope(id)
        node = scope.node
        if not node.enters_plainly:
            if data_flow.is_skipped(scope):
                return self._skipped(id, scope)
            self._prepare(scope)
            wrapped = extending.before(scope, 0)
            if wrapped is not None:
                return id, wrapped
        return id, HANDLERS[type(node.task)].entered(scope)

    def _skipped(self, id: int, scope: Scope) -> Turn | None:
        """Raw input is the output; no stage applies, and its `then` is not followed."""
        self.marks.pop()  # What is skipped was never begun.
        self.close(id, "skipped", output=scope.frame.raw)
        return self._go_on(scope.frame, scope.node, scope.frame.raw, None)

    def _prepare(self, scope: Scope) -> None:
        stage = scope.node.task.input
        if stage is not None:
            data = data_flow.transformed_input(scope, stage)
            scope.frame = self.state.frames[scope.id] = msgspec.structs.replace(scope.frame, input=data)
            self.state.size += len(data.text)
        self.open_timeout(scope.id)

    def _answered(self, id: int, move: Answered) -> Turn | None:
        scope = self.scope(id)
        answered = HANDLERS[type(scope.node.task)].answered
        assert answered is not None
        return id, answered(scope, move.fact)

    def _goes_on(self, id: int, _: GoOn) -> Turn | None:
        return id, listening.following(self.scope(id))

    def _done(self, id: int, done: Done) -> Turn | None:
        node = self.node(id)
        if node.may_branch:
            self.drop_below(id)
        if node.wrappers:
            wrapped = extending.after(self.scope(id), len(node.wrappers) - 1, done)
            if wrapped is not None:
                return id, wrapped
        return self._unwrapped(id, Unwrapped(done))

    def _unwrapped(self, id: int, move: Unwrapped) -> Turn | None:
        state = self.state
        frame = state.frames[id]
        node = self.plan.nodes[frame.position]
        raw_output = output = move.done.output
        if not node.ends_plainly:
            scope = self.scope(id)
            output = data_flow.transformed_output(scope, raw_output)
            if node.task.export is not None:
                state.shared = data_flow.exported_context(scope, node.task.export, raw_output, output)
                state.size += len(state.shared.text)
        state.size += len(output.text)
        self.close(id, "completed", output=output)
        return self._go_on(frame, node, output, move.done.then or node.task.then)

    def _subscribing(self, id: int, move: Subscribing) -> Turn | None:
        self.marks.append(Mark(len(self.records), "correlating", self.state.frames[id]))
        self.subscribe(id, move.memo)
        return id, _GO_ON

    def _heard(self, id: int, move: Heard) -> Turn | None:
        before, after = self.state.frames[id].memo, move.memo
        self.state.size += len(jsontext.encode(move.fact.event))
        self.remember(id, after)
        if after.is_done:
            self.close_wait(str(id))
        elif isinstance(before, Listening) and after.hearing.bound is not before.hearing.bound:
            self.subscribe(id, after)
        return id, _GO_ON

    def _handled(self, id: int, move: Handled) -> Turn | None:
        if move.shared is not None:
            self.state.shared = move.shared
            self.state.size += len(move.shared.text)
        self.remember(id, move.memo)
        if move.memo.is_done:
            self.close_wait(str(id))
        return id, _GO_ON

    def _satisfied(self, id: int, move: Satisfied) -> Turn | None:
        self.note_taken(id, move.memo)
        keys = move.memo.hearing.bound
        self.marks.append(Mark(len(self.records), "correlated", self.state.frames[id], keys=keys or None))
        return id, Done(Data.array(move.memo.outputs))

    def _publishing(self, id: int, move: Publishing) -> Turn | None:
        self.told.append(move.command)
        self.marks.append(Mark(len(self.records), "emitted", self.state.frames[id], move.command))
        return id, Done(move.output)

    def _go_on(self, frame: Frame, node: Node, output: Data, then: str | None) -> Turn | None:
        """Follow the flow directive of a task that ended."""
        parent = frame.parent
        if not parent:
            self.state.result = output
            self.state.unknown = {}
            self.finish("completed")
            return None
        if then == "end":
            return parent, EndAll(output)
        target = self._target(parent, node, then)
        if target is None:
            return parent, Ended(frame, output, then == "exit")
        jumps = frame.jumps + (target.index <= node.index)
        self.state.agenda.append(Entry(target.position, parent, output, frame.attempt, frame.iteration, jumps))
        return None

    def _target(self, parent: int, node: Node, then: str | None) -> Node | None:
        """The task of the same list that comes next. Branches and functions have none."""
        block = node.block
        if block is None or then == "exit":
            return None
        around = self.node(parent)
        if around.kind == "fork" and block is around.body:
            return None
        return node.next if then is None or then == "continue" else block.by_name[then]

    def _ended(self, id: int, move: Ended) -> Turn | None:
        scope = self.scope(id)
        memo = scope.frame.memo
        handler = HANDLERS[type(scope.node.task)]
        if not isinstance(memo, Extended):
            assert handler.ended is not None
            return id, handler.ended(scope, move.child, move.output)
        following = extending.goes_on(scope, memo, move.output, move.exited)
        if isinstance(following, Done):
            return id, Unwrapped(following)
        if following is not None:
            return id, following
        scope.frame = self.remember(id, None)
        return id, handler.entered(scope)

    def _end_all(self, id: int, move: EndAll) -> Turn | None:
        self.drop_below(id)
        return self._unwrapped(id, Unwrapped(Done(move.output, then="end")))

    def _begin(self, id: int, begin: Begin) -> Turn | None:
        frame = self.state.frames[id] if begin.memo is None else self.remember(id, begin.memo)
        for timer in begin.timers:
            self.open_timer(id, timer)
        first = begin.block.nodes[0].position
        attempt = begin.attempt or frame.attempt
        if begin.attempt and begin.attempt > 1:
            self.marks.append(Mark(len(self.records), "retried", frame))
        for iteration in reversed(begin.iterations or (frame.iteration,)):
            self.state.agenda.append(Entry(first, id, begin.input, attempt, iteration))
        return None

    def _branch(self, id: int, branch: Branch) -> Turn | None:
        frame = self.state.frames[id] if branch.memo is None else self.remember(id, branch.memo)
        for node in reversed(branch.nodes):
            self.state.agenda.append(Entry(node.position, id, branch.input, frame.attempt, frame.iteration))
        return None

    def _stay(self, id: int, stay: Stay) -> Turn | None:
        self.remember(id, stay.memo)
        return None

    def _sleep(self, id: int, sleep: Sleep) -> Turn | None:
        if sleep.memo is not None:
            self.remember(id, sleep.memo)
        self.open_timer(id, sleep.timer)
        return None

    def _ask(self, id: int, ask: Ask) -> Turn | None:
        self.open_wait(ask.command, 0 if ask.detached else id)
        self.forget_key(id)
        return (id, Done(self.state.frames[id].input)) if ask.detached else None

    def _fail(self, id: int, problem: Problem) -> Turn | None:
        return self._unwind(id, self._failing_at(id, problem))

    def _failing_at(self, id: int, problem: Problem) -> Failing:
        """A problem that arose here: this task's position is its `instance`."""
        frames, agenda = dict(self.state.frames), tuple(self.state.agenda)
        problem = msgspec.structs.replace(problem, instance=frames[id].position)
        return Failing(problem, lambda: parking.parked(frames, agenda, id))

    def _unwind(self, id: int, failing: Failing) -> Turn | None:
        """End a frame with a problem, and let the one above decide."""
        parent = self.state.frames[id].parent
        self.drop_below(id, keys_matter=True)
        self.close(id, "faulted", problem=failing.problem, keys_matter=True)
        if parent:
            return parent, failing
        self.state.problem = failing.problem
        self.state.parked = failing.parked()
        self.finish("faulted")
        return None

    def _failing(self, id: int, failing: Failing) -> Turn | None:
        frame = self.state.frames[id]
        failed = HANDLERS[type(self.node(id).task)].failed
        if failed is None or not failing.catchable or isinstance(frame.memo, Extended):
            return self._unwind(id, failing)
        outcome = failed(self.scope(id), failing.problem)
        if outcome is None:
            return self._unwind(id, failing)
        if not self._may_try_again(id, outcome):
            self.forget_keys(entries.path_of(self.state, id))
        return id, outcome

    def _may_try_again(self, id: int, outcome: Outcome) -> bool:
        """Whether tasks below this frame may be entered again by a retry, its own or of a `try` further out."""
        if isinstance(outcome, Sleep) or (isinstance(outcome, Begin) and outcome.attempt):
            return True
        while id := self.state.frames[id].parent:
            task = self.node(id).task
            if isinstance(task, model.TryTask) and task.catch.retry is not None:
                return True
        return False


_ENTERED = Entered()
_GO_ON = GoOn()
_MOVES: Mapping[type, Callable[[Driver, int, Any], Turn | None]] = {
    Entered: Driver._entered,
    Answered: Driver._answered,
    Ended: Driver._ended,
    EndAll: Driver._end_all,
    Unwrapped: Driver._unwrapped,
    Failing: Driver._failing,
    Done: Driver._done,
    Begin: Driver._begin,
    Branch: Driver._branch,
    Ask: Driver._ask,
    Publishing: Driver._publishing,
    Subscribing: Driver._subscribing,
    Heard: Driver._heard,
    GoOn: Driver._goes_on,
    Handled: Driver._handled,
    Satisfied: Driver._satisfied,
    Sleep: Driver._sleep,
    Stay: Driver._stay,
}
