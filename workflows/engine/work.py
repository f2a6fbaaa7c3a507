"""Tasks that ask something of the world: call, run, wait. They decide; the driver moves."""

from __future__ import annotations

from datetime import timedelta

from workflows.dsl.jsontext import Json
from workflows.dsl.model import CallTask, RunTask, WaitTask
from workflows.engine import entries
from workflows.engine.commands import RunActivity, StartChild
from workflows.engine.data import Data
from workflows.engine.facts import ActivitySucceeded, ChildEnded, Fact
from workflows.engine.outcomes import Ask, Branch, Done, Handler, Outcome, Sleep, Timer
from workflows.engine.problems import ProblemError, problem
from workflows.engine.scope import Scope, checked, shown
from workflows.engine.state import Frame

CALLS_LIMIT = 64
"""How deep functions of `use.functions` may call each other."""

_PROTOCOLS = frozenset({"http", "openapi", "grpc", "asyncapi", "a2a", "mcp"})


def _call_entered(scope: Scope) -> Outcome:
    """The DSL's protocols first, then `use.functions`, then registered Python functions."""
    task = scope.node.task
    assert isinstance(task, CallTask)
    if task.call in _PROTOCOLS:
        return Ask(_activity(scope, task.call, scope.render(task.with_, scope.frame.input.value)))
    function = task.function or scope.plan.definition.use.functions.get(task.call)
    if function is not None:
        if entries.calls_around(scope.plan, scope.state, scope.id) >= CALLS_LIMIT:
            raise ProblemError(problem("runtime", f"functions call each other more than {CALLS_LIMIT} deep"))
        arguments = scope.render_data(task.with_, scope.frame.input)
        return Branch(nodes=(scope.plan.nodes[function.position],), input=arguments)
    if "@" in task.call:
        raise ProblemError(problem("configuration", f"functions of catalogs cannot be called yet: {task.call}"))
    arguments = scope.render(task.with_, scope.frame.input.value)
    return Ask(_activity(scope, "function", {"function": task.call, "with": arguments}))


def _call_ended(scope: Scope, child: Frame, output: Data) -> Outcome:
    """A function of `use.functions` ended."""
    return Done(output)


def _run_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, RunTask)
    process = scope.render(task.with_, scope.frame.input.value)
    if not isinstance(process, dict):
        raise ProblemError(problem("expression", f"what to run is an object, not {shown(process)}"))
    if task.run == "workflow":
        return Ask(_child(scope, process, task.await_), detached=not task.await_)
    return Ask(_activity(scope, task.run, {**process, "return": task.return_}), detached=not task.await_)


def _activity(scope: Scope, kind: str, arguments: Json) -> RunActivity:
    node, frame = scope.node, scope.frame
    return RunActivity(
        wait_id=str(scope.id),
        kind=kind,
        name=node.name,
        position=node.position,
        arguments=arguments,
        pool=node.pool,
        attempt=frame.attempt,
        rung_at=scope.at,
        idempotency_key=entries.idempotency_key(scope.state, scope.id),
        deadline_at=entries.deadline(scope.plan, scope.state, scope.id),
        iteration=frame.iteration,
    )


def _child(scope: Scope, process: dict[str, Json], awaited: bool) -> StartChild:
    """The workflow to start; without `input` it gets the task's."""
    names = [process.get(member) for member in ("namespace", "name")]
    version = process.get("version", "latest")
    if not all(isinstance(text, str) and text for text in (*names, version)):
        raise ProblemError(problem("expression", f"a workflow is named by texts, not by {shown(process)}"))
    value = process.get("input", scope.frame.input.value)
    return StartChild(
        wait_id=str(scope.id),
        child_id=entries.child_id(scope.state, str(scope.id), scope.at),
        namespace=str(names[0]),
        name=str(names[1]),
        version=version,
        input=value,
        awaited=awaited,
        rung_at=scope.at,
    )


def _answered(scope: Scope, fact: Fact) -> Outcome:
    """An activity succeeded or a child ended. Their failures reach the driver as problems."""
    assert isinstance(fact, ActivitySucceeded | ChildEnded)
    return Done(checked(fact.output))


def _wait_entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, WaitTask)
    span = scope.duration(task.duration)
    return Sleep(Timer("wait", scope.after(span))) if span > timedelta() else Done(scope.frame.input)


def _wait_answered(scope: Scope, fact: Fact) -> Outcome:
    return Done(scope.frame.input)


CALL = Handler(entered=_call_entered, ended=_call_ended, answered=_answered)
RUN = Handler(entered=_run_entered, answered=_answered)
WAIT = Handler(entered=_wait_entered, answered=_wait_answered)
