"""The task `listen`: it takes events, deals with them one after the other, and ends when it has what it wants.

An event is taken when it comes and dealt with in its turn: with `foreach`, when the tasks for those before it have
ended. The frame's memo holds all of this, so that it survives a crash at any point.

Source: DSL reference, "Listen" and "Subscription Iterator"; rules 28 to 31 and 50 of docs/dsl.md.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from workflows.dsl.expression import Expression
from workflows.dsl.model import ListenTask
from workflows.engine import data_flow, entries, strategies
from workflows.engine.cloud_events import reading
from workflows.engine.correlation import identity
from workflows.engine.data import Data
from workflows.engine.facts import EventArrived
from workflows.engine.outcomes import Begin, Done, Handled, Handler, Outcome, Satisfied, Stay, Subscribing
from workflows.engine.scope import Scope, checked
from workflows.engine.state import Frame, Listening

SEEN_LIMIT = 10_000
"""Events that a listener knows to have taken. Who offers them repeats no more than its last ones."""


def heard(scope: Scope, fact: EventArrived, complain: Callable[[str], None]) -> Listening | None:
    """Return a listener after an event; None when it does not want it, or has it already."""
    memo, event = scope.frame.memo, fact.event
    if not isinstance(memo, Listening) or memo.is_done:
        return None
    known = identity(event)
    is_kept = fact.received_at is not None and fact.received_at < scope.frame.started_at
    if known in memo.seen or (is_kept and _was_taken_before(scope, known)):
        return None
    found = strategies.hear(memo.wanted, memo.hearing, event, scope, is_kept=is_kept, complain=complain)
    if found.hearing is memo.hearing:
        return None
    queue = (*memo.queue, Data(event)) if found.took else memo.queue
    seen = (*memo.seen, known)[-SEEN_LIMIT:]
    return replace(memo, hearing=found.hearing, is_done=found.done, seen=seen, queue=queue)


def following(scope: Scope) -> Outcome:
    """Return what a listener does next: with the event whose turn it is, if that has come. Raises ProblemError."""
    memo = scope.frame.memo
    assert isinstance(memo, Listening)
    if memo.in_hand:
        return Stay(memo)
    if memo.queue:
        item = _item(scope, memo)
        if scope.node.body is None:
            return _dealt_with(scope, memo, item)
        memo = replace(memo, in_hand=True)
        return Begin(block=scope.node.body, input=item, memo=memo, iterations=(memo.count,))
    return Satisfied(memo) if memo.is_done else Stay(memo)


def _was_taken_before(scope: Scope, known: str) -> bool:
    """Whether one took it that had ended before this one began. An attempt may have what the one before it had."""
    taken = scope.state.taken.get(known)
    return taken is not None and taken.counter < scope.id and taken.path != entries.short_path(scope.state, scope.id)


def _entered(scope: Scope) -> Outcome:
    task = _task(scope)
    wanted = strategies.wanted_of(task.to, lambda template: scope.render(template, scope.frame.input.value))
    hearing = strategies.opened(wanted)
    if wanted.mode == "all" and not wanted.patterns:
        return Done(Data([]))
    return Subscribing(Listening(wanted, hearing))


def _ended(scope: Scope, child: Frame, output: Data) -> Outcome:
    """The tasks of `foreach` are done with an event."""
    memo = scope.frame.memo
    assert isinstance(memo, Listening)
    return _dealt_with(scope, memo, output)


def _dealt_with(scope: Scope, memo: Listening, output: Data) -> Handled:
    task, shared = _task(scope), None
    each, until = task.foreach, task.to.until
    if each is not None and (each.output is not None or each.export is not None):
        inner = scope.with_extra({each.item: _item(scope, memo).value, each.at: memo.count})
        raw_output = output
        if each.output is not None:
            output = data_flow.shaped(inner, each.output, raw_output)
        if each.export is not None:
            shared = data_flow.exported_context(inner, each.export, raw_output, output)
    outputs = memo.outputs if _is_endless(task) else (*memo.outputs, output)
    after = replace(memo, queue=memo.queue[1:], in_hand=False, count=memo.count + 1, outputs=outputs)
    if isinstance(until, Expression) and scope.test(until, [each.value for each in outputs]):
        # What was taken beyond the end has not happened to this task: a later one may take it.
        seen = after.seen[: len(after.seen) - len(after.queue)]
        after = replace(after, is_done=True, queue=(), seen=seen)
    return Handled(after, shared)


def _is_endless(task: ListenTask) -> bool:
    """Whether it never has an output: then what came of its events need not be kept."""
    return isinstance(task.to.until, Expression) and task.to.until.text.strip() == "false"


def _item(scope: Scope, memo: Listening) -> Data:
    return checked(reading(memo.queue[0].value, _task(scope).read))


def _task(scope: Scope) -> ListenTask:
    task = scope.node.task
    assert isinstance(task, ListenTask)
    return task


LISTEN = Handler(entered=_entered, ended=_ended)
