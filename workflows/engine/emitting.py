"""The task `emit`: it makes a CloudEvent, which leaves with the step.

Source: DSL reference, "Emit"; CloudEvents 1.0.2.
"""

from __future__ import annotations

from workflows.dsl.model import EmitTask
from workflows.engine.cloud_events import mistakes
from workflows.engine.commands import Publish
from workflows.engine.outcomes import Handler, Outcome, Publishing
from workflows.engine.problems import ProblemError, problem
from workflows.engine.scope import Scope, checked, shown


def _entered(scope: Scope) -> Outcome:
    task = scope.node.task
    assert isinstance(task, EmitTask)
    given = scope.render(task.event, scope.frame.input.value)
    if not isinstance(given, dict):
        raise ProblemError(problem("expression", f"a CloudEvent is an object, not {shown(given)}"))
    # An attribute that is null is none; only data may be.
    attributes = {name: value for name, value in given.items() if value is not None or name == "data"}
    event = {
        "id": f"{scope.state.instance_id}:{scope.id}",
        "specversion": "1.0",
        "time": scope.at.isoformat().replace("+00:00", "Z"),
        **attributes,
    }
    if wrong := next(mistakes(event), None):
        raise ProblemError(problem("expression", f"this is no CloudEvent: {wrong}: {shown(event)}"))
    return Publishing(Publish(event=event), checked(event))


EMIT = Handler(entered=_entered)
