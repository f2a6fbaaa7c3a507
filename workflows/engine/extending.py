"""Extensions: tasks that run before and after the tasks they extend.

`before` lists run in order, on the task's transformed input; `after` lists in reverse, on its raw
output. What they put out is not used, but for a `before` that leaves by `then: exit`: the task is
skipped then, and that output stands in for its raw output. Tasks of extensions are not extended.

Source: DSL reference, "Extension".
"""

from __future__ import annotations

from workflows.engine.data import Data
from workflows.engine.outcomes import Begin, Done
from workflows.engine.plan import Wrapper
from workflows.engine.scope import Scope
from workflows.engine.state import Extended


def before(scope: Scope, index: int) -> Begin | None:
    """Return the first `before` list that applies, from this extension on. Raises ProblemError."""
    for number, wrapper in enumerate(scope.node.wrappers[index:], index):
        if wrapper.before is not None and _applies(scope, wrapper):
            return Begin(block=wrapper.before, input=scope.frame.input, memo=Extended(number))
    return None


def after(scope: Scope, index: int, done: Done) -> Begin | None:
    """Return the last `after` list that applies, from this extension backwards. Raises ProblemError."""
    scope.raw_output = done.output
    for number in range(index, -1, -1):
        wrapper = scope.node.wrappers[number]
        if wrapper.after is not None and _applies(scope, wrapper):
            return Begin(block=wrapper.after, input=done.output, memo=Extended(number, done.output, done.then))
    return None


def goes_on(scope: Scope, memo: Extended, output: Data, exited: bool) -> Begin | Done | None:
    """Return what follows a list of an extension: another list, the end of the task, or (None) the task itself."""
    if memo.output is not None:
        done = Done(memo.output, memo.then)
        return after(scope, memo.index - 1, done) or done
    if exited:
        done = Done(output)
        return after(scope, len(scope.node.wrappers) - 1, done) or done
    return before(scope, memo.index + 1)


def _applies(scope: Scope, wrapper: Wrapper) -> bool:
    """`when` sees the members of the task's definition beside the descriptor's own, as the examples write."""
    condition = wrapper.extension.when
    if condition is None:
        return True
    described = {**scope.node.task.source, **scope["task"]}
    return scope.with_extra({"task": described}).test(condition, scope.frame.input.value)
