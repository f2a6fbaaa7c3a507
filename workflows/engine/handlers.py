"""Which handler decides for which sort of task."""

from collections.abc import Mapping

from workflows.dsl import model
from workflows.engine import emitting, flow, listening, work
from workflows.engine.outcomes import Handler

HANDLERS: Mapping[type[model.Task], Handler] = {
    model.CallTask: work.CALL,
    model.DoTask: flow.DO,
    model.EmitTask: emitting.EMIT,
    model.ForTask: flow.FOR,
    model.ForkTask: flow.FORK,
    model.ListenTask: listening.LISTEN,
    model.NothingTask: flow.NOTHING,
    model.RaiseTask: flow.RAISE,
    model.RunTask: work.RUN,
    model.SetTask: flow.SET,
    model.SwitchTask: flow.SWITCH,
    model.TryTask: flow.TRY,
    model.WaitTask: work.WAIT,
}
