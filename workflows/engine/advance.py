"""The engine's one door: a fact reaches an instance.

A fact that is late, doubled or not allowed in the instance's status changes nothing. While an instance
is suspended, answers are held in the order in which they came, and nothing is entered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from workflows.dsl import jsontext
from workflows.dsl.model import Definition
from workflows.engine import parking
from workflows.engine.codec import encode_state
from workflows.engine.commands import RunActivity
from workflows.engine.data import Data
from workflows.engine.driver import Driver
from workflows.engine.facts import (
    ActivityFailed,
    ActivityLost,
    ActivitySucceeded,
    AnyFact,
    CancelRequested,
    ChildEnded,
    ChildStarted,
    Continued,
    EventArrived,
    Fact,
    ResumeRequested,
    RetryRequested,
    Started,
    SuspendRequested,
    TimerFired,
)
from workflows.engine.outcomes import Timer
from workflows.engine.plan import plan_of
from workflows.engine.problems import Problem, problem
from workflows.engine.scope import DATA_LIMIT_BYTES
from workflows.engine.state import SUSPECT_FROM, WORK, Attempts, Entry, Held, State, Status, Wait
from workflows.engine.step import Cause, Step

Answer = ActivitySucceeded | ActivityFailed | ChildStarted | ChildEnded | Continued

_STANDING_STILL = frozenset({"timeout", "attempt", "limit"})
"""Timers that do not run while the instance is suspended."""


def advance(definition: Definition, state: State, fact: Fact, *, given_away: bool = False) -> Step:
    """Apply one fact.

    Never raises for what a workflow or the world did: that is a problem, in the state.

    Args:
        definition: The instance's own, always the same text.
        state: Where the instance stands. It is not changed, unless it is given away.
        fact: What has happened.
        given_away: Whether the caller has no further use for the state: copying it is most of a step's cost when
            thousands of tasks are open. One that comes back as unchanged is unchanged all the same.

    Raises:
        KeyError: The state does not belong to the definition.
    """
    wait_id: str | None = getattr(fact, "wait_id", None)
    if wait_id is not None and wait_id not in state.waits:
        return Step(state=state, at=fact.at, changed=False)
    driver = Driver(plan_of(definition), state, fact.at, owned=given_away)
    had_work = state.status != "waiting"
    if not _APPLY[type(fact)](driver, fact):
        return Step(state=state, at=fact.at, changed=False, complaint=driver.complaint)
    return _step(driver, had_work)


def _step(driver: Driver, had_work: bool) -> Step:
    state = driver.state
    if state.status not in ("suspended", "pending", "cancelled", "faulted", "completed"):
        driver.run()
        _limit_size(driver)
        if not state.is_final:
            driver.set_status("running" if driver.has_work(had_any=had_work) else "waiting")
    state.step += 1
    return Step(
        state=state,
        at=driver.at,
        commands=(*driver.asked.values(), *driver.told),
        records=tuple(driver.records),
        marks=tuple(driver.marks),
        complaint=driver.complaint,
    )


def _started(driver: Driver, fact: Started) -> bool:
    state = driver.state
    if state.started_at is not None or state.is_final:
        return False
    state.started_at = fact.at
    state.missing_secrets = fact.missing_secrets
    state.agenda.append(Entry("", 0, state.started_with))
    if state.status == "pending":
        driver.set_status("running", cause="started")
    return True


def _answered(driver: Driver, fact: Answer) -> bool:
    """An activity, a child or a further step ended."""
    state = driver.state
    wait = state.waits[fact.wait_id]
    if wait.kind != _ANSWERS[type(fact)] or (isinstance(fact, ChildStarted) and wait.frame):
        return False
    del state.waits[fact.wait_id]
    if state.status == "suspended" and wait.frame:
        state.held = [*state.held, Held(wait, fact)]
    elif wait.frame:
        _apply_answer(driver, wait, fact)
    return True


def _apply_answer(driver: Driver, wait: Wait, fact: AnyFact) -> None:
    driver.answer = (wait.frame, fact)
    match fact:
        case EventArrived():
            driver.hear(wait.frame, fact)
        case ActivityFailed():
            if not fact.answered:
                driver.note_unknown(wait.frame, wait)
            driver.fail(wait.frame, fact.problem)
        case ChildEnded() if fact.status != "completed" or fact.problem is not None:
            driver.fail(wait.frame, fact.problem or problem("runtime", f"the child workflow was {fact.status}"))
        case _:
            driver.answered(wait.frame, fact)


def _event_arrived(driver: Driver, fact: EventArrived) -> bool:
    """A listener takes an event, or has no use for it. Unlike other waits, its own stays open until it has all."""
    state = driver.state
    wait = state.waits[fact.wait_id]
    if wait.kind != "event":
        return False
    if state.status != "suspended":
        return driver.hear(wait.frame, fact)
    if driver.hears(wait.frame, fact) is None or any(_is_same(held, wait, fact) for held in state.held):
        return False
    state.held = [*state.held, Held(wait, fact)]
    return True


def _is_same(held: Held, wait: Wait, fact: EventArrived) -> bool:
    known = held.fact
    return (
        held.wait.frame == wait.frame
        and isinstance(known, EventArrived)
        and (known.event["source"], known.event["id"]) == (fact.event["source"], fact.event["id"])
    )


def _lost(driver: Driver, fact: ActivityLost) -> bool:
    """Ring again; an activity that several processes died of is given up.

    A death that may have been another's fault makes a suspect of it, and no more: only as a suspect it is found guilty.
    """
    state = driver.state
    wait = state.waits[fact.wait_id]
    is_held = fact.wait_id in state.holders
    if wait.kind not in WORK or wait.ring != fact.ring or (state.status == "suspended" and not is_held):
        return False
    deaths = wait.deaths + (fact.blamed or (fact.suspected and wait.deaths < SUSPECT_FROM))
    wait = msgspec.structs.replace(wait, ring=wait.ring + 1, rung_at=fact.at, deaths=deaths)
    state.waits[fact.wait_id] = wait
    state.holders = {wait_id: holder for wait_id, holder in state.holders.items() if wait_id != fact.wait_id}
    if state.status == "suspended":
        # It goes back to those that are rung once the instance resumes.
        return True
    if not fact.blamed or deaths < fact.limit:
        driver.ring(fact.wait_id)
    elif wait.frame:
        driver.fail_for_good(wait.frame, _poison(deaths, driver.node(wait.frame).name))
    else:
        driver.close_wait(fact.wait_id)
    return True


def _poison(deaths: int, name: str) -> Problem:
    return problem("runtime", f"{deaths} processes died while they ran the task {name!r}; it is not tried again")


def _timer_fired(driver: Driver, fact: TimerFired) -> bool:
    state = driver.state
    wait = state.waits[fact.wait_id]
    if wait.due_at is None or fact.at < wait.due_at:
        return False
    if wait.purpose == "resume":
        return _resume(driver, ResumeRequested(at=fact.at, reason="its time has come"))
    if state.status == "suspended":
        return False
    del state.waits[fact.wait_id]
    match wait.purpose:
        case "timeout":
            what = "the task" if state.frames[wait.frame].parent else "the workflow"
            driver.fail(wait.frame, problem("timeout", f"{what} did not end within its time"))
        case "attempt" | "limit":
            _attempt_timed_out(driver, fact.wait_id, wait)
        case _:
            driver.answered(wait.frame, fact)
    return True


def _attempt_timed_out(driver: Driver, wait_id: str, wait: Wait) -> None:
    """An attempt of a `try`, or all of them together, took too long. No longer true while it catches or pauses."""
    memo = driver.state.frames[wait.frame].memo
    assert isinstance(memo, Attempts)
    over = wait.purpose == "attempt" and wait_id != f"{wait.frame}.attempt.{memo.retries + 1}"
    if not memo.catching and not over:
        driver.fail_attempt(wait.frame, problem("timeout", "the attempt did not end within its time"))


def _suspend(driver: Driver, fact: SuspendRequested) -> bool:
    state = driver.state
    if state.is_final or state.status == "suspended":
        return False
    state.suspended_at = fact.at
    driver.set_status("suspended", reason=fact.reason, by=fact.by)
    driver.mark_all("suspended")
    if fact.resume_at is not None:
        state.counter += 1
        driver.open_timer(state.counter, Timer("resume", fact.resume_at))
    return True


def _resume(driver: Driver, fact: ResumeRequested) -> bool:
    """Timeouts go on from where they stood, held answers are applied, and what is still open is rung again."""
    state = driver.state
    if state.status != "suspended" or state.suspended_at is None:
        return False
    for wait_id in [wait_id for wait_id, wait in state.waits.items() if wait.purpose == "resume"]:
        driver.close_wait(wait_id)
    _shift_times(driver, fact.at - state.suspended_at)
    state.suspended_at = None
    status: Status = "running" if state.started_at else "pending"
    driver.set_status(status, reason=fact.reason, by=fact.by, cause="resumed")
    driver.mark_all("resumed")
    for wait_id, wait in state.waits.items():
        if wait.kind in WORK:
            state.waits[wait_id] = msgspec.structs.replace(wait, rung_at=fact.at)
            driver.ring(wait_id)
    held, state.held = state.held, []
    for answer in held:
        if answer.wait.frame in state.frames:
            _apply_answer(driver, answer.wait, answer.fact)
            driver.run()
    return True


def _shift_times(driver: Driver, stood: timedelta) -> None:
    """Move timeouts, and the deadlines that activities carry because of them, by the time it stood still."""
    waits = driver.state.waits
    for wait_id, wait in waits.items():
        if wait.purpose in _STANDING_STILL and wait.due_at is not None:
            waits[wait_id] = msgspec.structs.replace(wait, due_at=wait.due_at + stood)
        elif wait.kind == "activity":
            command = wait.command()
            if isinstance(command, RunActivity) and command.deadline_at is not None:
                later = msgspec.structs.replace(command, deadline_at=command.deadline_at + stood)
                waits[wait_id] = msgspec.structs.replace(wait, request=msgspec.Raw(jsontext.encode(later)))


def _cancel(driver: Driver, fact: CancelRequested) -> bool:
    state = driver.state
    if state.is_final:
        return False
    driver.cancel_instance(reason=fact.reason, by=fact.by)
    return True


def _retry(driver: Driver, fact: RetryRequested) -> bool:
    state = driver.state
    if state.status not in ("faulted", "cancelled"):
        return False
    edited = None if fact.input is msgspec.UNSET else Data(fact.input)
    again = parking.resumed(state, driver.plan, fact.source, edited)
    if again is None:
        return False
    if again.origin.position == "":
        state.edited_input = edited or state.edited_input
    if fact.source == "beginning":
        state.shared = Data({})
        state.unknown = {}
        state.taken = {}
    cause: Cause = "resumed" if state.started_at else "started"
    state.started_at = state.started_at or fact.at
    driver.set_status("running", reason=fact.reason, by=fact.by, cause=cause)
    driver.take_up(again, is_edited=edited is not None)
    return True


def _limit_size(driver: Driver) -> None:
    """Fault an instance whose state has grown beyond what is stored. Then only the beginning is left to retry."""
    state = driver.state
    if state.is_final or state.size <= DATA_LIMIT_BYTES:
        return
    state.size = len(encode_state(state))
    if state.size > DATA_LIMIT_BYTES:
        excess = f"the state takes {state.size} bytes, over the limit of {DATA_LIMIT_BYTES}"
        driver.fail_for_good(next(iter(state.frames)), problem("runtime", excess))
        state.parked = None
        state.unknown = {}
        state.shared = Data({}) if len(state.shared.text) * 2 > DATA_LIMIT_BYTES else state.shared


_ANSWERS: Mapping[type[Fact], str] = {
    ActivitySucceeded: "activity",
    ActivityFailed: "activity",
    ChildStarted: "child",
    ChildEnded: "child",
    Continued: "continue",
}
"""Facts that answer a wait, and the kind they answer."""

_APPLY: Mapping[type[Fact], Callable[[Driver, Any], bool]] = {
    Started: _started,
    ActivitySucceeded: _answered,
    ActivityFailed: _answered,
    ActivityLost: _lost,
    TimerFired: _timer_fired,
    ChildStarted: _answered,
    ChildEnded: _answered,
    EventArrived: _event_arrived,
    Continued: _answered,
    SuspendRequested: _suspend,
    ResumeRequested: _resume,
    CancelRequested: _cancel,
    RetryRequested: _retry,
}
"""What each fact does; False when it changes nothing."""
