"""Tasks that only move or reshape: do, for, fork, switch, try, raise, set. They decide; the driver moves."""

from __future__ import annotations

from workflows.dsl.expression import Template
from workflows.dsl.jsontext import Json
from workflows.dsl.model import ForkTask, ForTask, RaiseTask, SetTask, SwitchTask, TryTask
from workflows.engine import catching
from workflows.engine.data import Data
from workflows.engine.facts import Fact
from workflows.engine.outcomes import Begin, Branch, Done, Handler, Outcome, Sleep, Stay, Timer
from workflows.engine.outputs import Outputs
from workflows.engine.plan import Block
from workflows.engine.problems import Problem, ProblemError, problem
from workflows.engine.scope import Scope, as_json, shown
from workflows.engine.state import Attempts, Branches, Frame, Loop, Spread


def _do_entered(scope: Scope) -> Outcome:
    return Begin(block=_body(scope), input=scope.frame.input) if _body(scope).nodes else Done(scope.frame.input)


def _do_ended(scope: Scope, child: Frame, output: Data) -> Outcome:
    return Done(output)


def _nothing_entered(scope: Scope) -> Outcome:
    return Done(scope.frame.input)


def _set_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, SetTask)
    return Done(scope.render_data(task.value, scope.frame.input))


def _switch_entered(scope: Scope) -> Outcome:
    """The first case that holds; the one without `when` last, wherever it stands."""
    task = scope.node.task
    assert isinstance(task, SwitchTask)
    data = scope.frame.input
    default = None
    for case in task.cases:
        if case.when is None:
            default = case.then
        elif scope.test(case.when, data.value):
            return Done(data, then=case.then)
    return Done(data, then=default)


def _raise_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, RaiseTask)
    value = scope.frame.input.value
    error = task.error
    status = scope.render(error.status, value)
    kind = scope.render(error.type, value)
    if not isinstance(kind, str):
        raise ProblemError(problem("expression", f"the type of an error is a text, not {shown(kind)}"))
    title, detail = (_text(scope, template) for template in (error.title, error.detail))
    raise ProblemError(Problem(type=kind, status=_status(status), title=title, detail=detail))


def _status(value: Json) -> int:
    try:
        if not isinstance(value, bool):
            return int(value)
    except (ValueError, TypeError, OverflowError):
        pass
    raise ProblemError(problem("expression", f"the status of an error is a number, not {shown(value)}"))


def _text(scope: Scope, template: Template | None) -> str | None:
    value = None if template is None else scope.render(template, scope.frame.input.value)
    return value if value is None or isinstance(value, str) else shown(value)


def _for_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, ForTask)
    data = scope.frame.input
    items = scope.evaluate_required(task.in_, data.value)
    if items is None or items == [] or not _body(scope).nodes:
        return Done(Data([]) if task.parallel else data)
    if not isinstance(items, list):
        raise ProblemError(problem("expression", f"`in` gave {shown(items)} where an array is needed"))
    kept = scope.kept(items)
    return _spread(scope, kept) if task.parallel else _iteration(scope, Loop(kept, 0), data)


def _for_ended(scope: Scope, child: Frame, output: Data) -> Outcome:
    memo = scope.frame.memo
    if isinstance(memo, Loop):
        return _iteration(scope, Loop(memo.items, memo.index + 1), output)
    assert isinstance(memo, Spread)
    assert child.iteration is not None
    return _gathered(scope, memo, child.iteration, output)


def _iteration(scope: Scope, loop: Loop, data: Data) -> Outcome:
    """The next item, whose input is what the one before gave."""
    if loop.index >= len(loop.items.value) or not _goes_on(scope, loop.items, loop.index, data):
        return Done(data)
    return Begin(block=_body(scope), input=data, memo=loop, iterations=(loop.index,))


def _goes_on(scope: Scope, items: Data, index: int, data: Data) -> bool:
    task = scope.node.task
    assert isinstance(task, ForTask)
    if task.while_ is None:
        return True
    return scope.with_extra({task.each: items.value[index], task.at: index}).test(task.while_, data.value)


def _spread(scope: Scope, items: Data) -> Outcome:
    """Items at the same time; they do not see each other. `while` is asked beforehand, of the task's input."""
    task = scope.node.task
    assert isinstance(task, ForTask)
    data = scope.frame.input
    count = len(items.value)
    if task.while_ is not None:
        count = next((index for index in range(count) if not _goes_on(scope, items, index, data)), count)
    if count == 0:
        return Done(Data([]))
    begun = min(count, task.max_concurrency or count)
    memo = Spread(items, count, begun, Outputs())
    return Begin(block=_body(scope), input=data, memo=memo, iterations=tuple(range(begun)))


def _gathered(scope: Scope, memo: Spread, iteration: int, output: Data) -> Outcome:
    outputs = memo.outputs.plus(iteration, output)
    if len(outputs) == memo.count:
        return Done(Data.array(outputs.in_order()))
    if memo.begun == memo.count:
        return Stay(Spread(memo.items, memo.count, memo.begun, outputs))
    after = Spread(memo.items, memo.count, memo.begun + 1, outputs)
    return Begin(block=_body(scope), input=scope.frame.input, memo=after, iterations=(memo.begun,))


def _fork_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, ForkTask)
    nodes = _body(scope).nodes
    if not nodes:
        return Done(scope.frame.input if task.compete else Data([]))
    return Branch(nodes=nodes, input=scope.frame.input, memo=Branches({}))


def _fork_ended(scope: Scope, child: Frame, output: Data) -> Outcome:
    task, memo = scope.node.task, scope.frame.memo
    assert isinstance(task, ForkTask)
    assert isinstance(memo, Branches)
    if task.compete:
        return Done(output)
    nodes = _body(scope).nodes
    outputs = {**memo.outputs, scope.plan.nodes[child.position].index: output}
    if len(outputs) < len(nodes):
        return Stay(Branches(outputs))
    return Done(Data.array([outputs[index] for index in range(len(nodes))]))


def _fork_failed(scope: Scope, problem: Problem) -> Outcome | None:
    """A branch that fails does not win while others run; the last one to fail takes the task with it."""
    task, memo = scope.node.task, scope.frame.memo
    assert isinstance(task, ForkTask)
    assert isinstance(memo, Branches)
    failures = memo.failures + 1
    if not task.compete or failures == len(task.branches):
        return None
    return Stay(Branches(memo.outputs, failures))


def _try_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, TryTask)
    if not _body(scope).nodes:
        return Done(scope.frame.input)
    return _attempt(scope, Attempts(), timers_of_try(scope, task))


def _attempt(scope: Scope, memo: Attempts, timers: tuple[Timer, ...] | None = None) -> Outcome:
    task = scope.node.task
    assert isinstance(task, TryTask)
    number = memo.retries + 1
    timers = timers_of_attempt(scope, task, number) if timers is None else timers
    return Begin(block=_body(scope), input=scope.frame.input, memo=memo, attempt=number, timers=timers)


def timers_of_try(scope: Scope, task: TryTask) -> tuple[Timer, ...]:
    """Return the timers that limit a `try` that begins: all attempts together, and the first. Raises ProblemError."""
    retry = task.catch.retry
    first = timers_of_attempt(scope, task, 1)
    if retry is None or retry.limit_duration is None:
        return first
    return (Timer("limit", scope.after(scope.duration(retry.limit_duration))), *first)


def timers_of_attempt(scope: Scope, task: TryTask, number: int) -> tuple[Timer, ...]:
    """Return the timer that limits one attempt, if any does. Raises ProblemError."""
    retry = task.catch.retry
    if retry is None or retry.limit_attempt_duration is None:
        return ()
    return (Timer("attempt", scope.after(scope.duration(retry.limit_attempt_duration)), number),)


def _try_failed(scope: Scope, problem: Problem) -> Outcome | None:
    """Retries first; when they are used up `catch.do`; without it the problem goes on upwards."""
    task, memo = scope.node.task, scope.frame.memo
    assert isinstance(task, TryTask)
    assert isinstance(memo, Attempts)
    if memo.catching:
        return None
    described = as_json(problem)
    catcher = scope.with_extra({task.catch.as_: described})
    if not catching.catches(catcher, task.catch, described):
        return None
    retry = task.catch.retry
    due_at = retry and catching.next_attempt(catcher, retry, memo.retries + 1, described)
    if due_at:
        again = Attempts(memo.retries + 1, problem)
        delayed = Sleep(Timer("retry", due_at, again.retries), again)
        return delayed if due_at > scope.at else _attempt(scope, again)
    if scope.node.catch is not None and scope.node.catch.nodes:
        caught = Attempts(memo.retries, problem, catching=True)
        return Begin(block=scope.node.catch, input=scope.frame.input, memo=caught)
    return None if retry else Done(scope.frame.input)


def _try_answered(scope: Scope, fact: Fact) -> Outcome:
    """The delay before a retry is over."""
    memo = scope.frame.memo
    assert isinstance(memo, Attempts)
    return _attempt(scope, memo)


def _try_ended(scope: Scope, child: Frame, output: Data) -> Outcome:
    return Done(output)


def _body(scope: Scope) -> Block:
    assert scope.node.body is not None
    return scope.node.body


DO = Handler(entered=_do_entered, ended=_do_ended)
NOTHING = Handler(entered=_nothing_entered)
SET = Handler(entered=_set_entered)
SWITCH = Handler(entered=_switch_entered)
RAISE = Handler(entered=_raise_entered)
FOR = Handler(entered=_for_entered, ended=_for_ended)
FORK = Handler(entered=_fork_entered, ended=_fork_ended, failed=_fork_failed)
TRY = Handler(entered=_try_entered, ended=_try_ended, failed=_try_failed, answered=_try_answered)
