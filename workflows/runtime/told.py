"""What a step tells to those outside: its life cycle, and what it emitted, in the order in which it happened."""

from collections.abc import Iterator
from typing import Literal

from workflows.dsl.jsontext import Json
from workflows.engine import PhaseChange, State, Step, TaskRun
from workflows.engine.problems import Problem
from workflows.runtime import marks
from workflows.runtime.lifecycle import About, LifeCycle, Moment, error_of, kept, of_mark, of_phase, of_run
from workflows.runtime.records import GRAVE_ORDINAL, Grave
from workflows.runtime.step import Taken

Told = tuple[Literal["lifecycle", "emit"], dict[str, Json]]
"""Where an event comes from, and the CloudEvent."""


def told_of(taken: Taken, life: LifeCycle) -> Iterator[Told]:
    """Yield what the steps of a subject tell, in their order."""
    about = About(taken.instance_id, *taken.subject.registered.key)
    for number, step in taken.steps:
        yield from _of_step(number, step, about, life)


def told_of_grave(grave: Grave, fault: Problem, life: LifeCycle) -> Iterator[dict[str, Json]]:
    """Yield the CloudEvents of an instance that was buried."""
    about = About(grave.instance_id, *grave.definition)
    place = f"{grave.step}.{GRAVE_ORDINAL}"
    return life.events(about, of_phase("faulted", "", at=grave.at, place=place, error=error_of(fault)))


def _of_step(number: int, step: Step, about: About, life: LifeCycle) -> Iterator[Told]:
    waiting = list(marks.numbered(step))[::-1]
    for ordinal in range(len(step.records) + 1):
        while waiting and waiting[-1][1].place <= ordinal:
            count, mark = waiting.pop()
            if mark.event is not None:
                yield "emit", dict(mark.event.event)
                continue
            frame = mark.frame
            moments = of_mark(
                mark.what, frame.position, frame.attempt, frame.iteration, mark.keys,
                at=step.at, place=f"{number}.{ordinal}.{count}",
            )  # fmt: skip
            yield from (("lifecycle", event) for event in life.events(about, moments))
        if ordinal < len(step.records):
            found = _of_record(step.records[ordinal], f"{number}.{ordinal}", step.state, life)
            yield from (("lifecycle", event) for event in life.events(about, found))


def _of_record(record: TaskRun | PhaseChange, place: str, state: State, life: LifeCycle) -> Iterator[Moment]:
    if isinstance(record, PhaseChange):
        result = state.result if record.status == "completed" else None
        return of_phase(
            record.status, record.cause, at=record.at, place=place,
            output=kept(None if result is None else result.text, life.limit_bytes), error=error_of(record.problem),
        )  # fmt: skip
    output = None if record.output is None else record.output.text
    return of_run(
        record.status, record.position, record.attempt, record.iteration, at=record.ended_at, place=place,
        output=kept(output, life.limit_bytes), error=error_of(record.problem),
    )  # fmt: skip
