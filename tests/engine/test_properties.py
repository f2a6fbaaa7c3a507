"""What holds for every definition: checked on generated ones, with facts in every order."""

from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import UNAVAILABLE, Instance, definitions, hash_of, outcomes
from workflows.dsl.model import Definition
from workflows.engine import advance, new_state
from workflows.engine.commands import RunActivity, SetTimer, StartChild
from workflows.engine.driver import MOVES_LIMIT
from workflows.engine.facts import ActivityFailed, ActivityLost, ActivitySucceeded, Fact, TimerFired
from workflows.engine.plan import plan_of
from workflows.engine.problems import Problem

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FACTS_LIMIT = 60
OPENING = (RunActivity, SetTimer, StartChild)


def play(definition: Definition, choices: st.DataObject | None = None) -> Instance:
    """Run an instance to its end, or until it was given as many facts as a test may take.

    With choices, open activities are answered in any order, before or after timers; else the oldest first.
    """
    played = Instance(definition, {"n": 0}).start()
    answers = outcomes()
    while not played.state.is_final and len(played.facts) < FACTS_LIMIT:
        due_at = played.state.due_at()
        requests = played.requests()
        if due_at is not None and (not requests or (choices is not None and choices.draw(st.booleans()))):
            played.wait((due_at - played.now).total_seconds())
        else:
            chosen = requests[0] if choices is None else choices.draw(st.sampled_from(requests))
            played.apply(answer_to(chosen.wait_id, next(answers), played))
    return played


def answer_to(wait_id: str, answer: Any, played: Instance) -> Fact:
    if isinstance(answer, Problem):
        return ActivityFailed(at=played.now, wait_id=wait_id, problem=answer)
    return ActivitySucceeded(at=played.now, wait_id=wait_id, output=answer)


@some
@given(definitions(), st.data())
def test_every_instance_gets_on_and_leaves_nothing_behind(definition, choices):
    played = play(definition, choices)

    assert played.state.is_final or played.state.waits
    assert played.status != "completed" or not (played.state.frames or played.state.waits or played.state.unknown)


@some
@given(definitions(), st.data())
def test_a_replay_of_the_same_facts_gives_the_same_hash_at_every_step(definition, choices):
    played = play(definition, choices)

    state = new_state(instance_id="i-1", input={"n": 0}, seal="s3al")
    for fact, step in zip(played.facts, played.steps, strict=True):
        again = advance(definition, state, fact)
        assert hash_of(again.state) == hash_of(step.state)
        assert again.commands == step.commands
        state = again.state


@some
@given(definitions(), st.data())
def test_facts_that_come_again_or_late_change_nothing(definition, choices):
    played = play(definition, choices)
    old = played.facts[: -1 if played.state.is_final else None]

    for fact in old:
        if isinstance(fact, (ActivitySucceeded, ActivityFailed, TimerFired)):
            late = advance(definition, played.state, fact)
            assert not late.changed
            assert late.state is played.state


@some
@given(definitions(), st.data())
def test_at_every_moment_an_earlier_fact_or_one_for_a_later_wait_changes_nothing(definition, choices):
    played = play(definition, choices)

    state = new_state(instance_id="i-1", input={"n": 0}, seal="s3al")
    for number, fact in enumerate(played.facts):
        state = advance(definition, state, fact).state
        foreign = played.facts[: number + 1] + [
            later for later in played.facts[number + 1 :] if getattr(later, "wait_id", None) not in state.waits
        ]
        stray = choices.draw(st.sampled_from(foreign))
        assert not advance(definition, state, stray).changed
    assert hash_of(state) == hash_of(played.state)


@some
@given(definitions())
def test_each_fact_doubled_at_once_gives_the_same_end(definition):
    played = play(definition)

    state = new_state(instance_id="i-1", input={"n": 0}, seal="s3al")
    for fact in played.facts:
        state = advance(definition, state, fact).state
        assert not advance(definition, state, fact).changed

    assert hash_of(state) == hash_of(played.state)


@some
@given(st.permutations(["a", "b", "c", "d"]))
def test_the_output_of_a_fork_does_not_depend_on_the_order_of_answers(order):
    text = (
        "do: [{all: {fork: {branches: [{a: {call: x}}, {b: {call: x}}, {c: {call: x}}, {d: {do: [{d: {call: x}}]}}]}}}]"
    )
    played = Instance(text).start()

    for name in order:
        played.succeed(name, name.upper())

    assert played.output == ["A", "B", "C", "D"]


@some
@given(definitions(), st.data())
def test_moves_per_step_are_bounded(definition, choices):
    counters = [0, *(step.state.counter for step in play(definition, choices).steps)]

    assert all(after - before <= MOVES_LIMIT + 1 for before, after in pairwise(counters))


@some
@given(definitions(), st.data())
def test_wait_ids_never_come_twice(definition, choices):
    asked = [command.wait_id for command in play(definition, choices).commands if isinstance(command, OPENING)]

    assert len(set(asked)) == len(asked)


@some
@given(definitions(), st.integers(0, 6))
def test_suspending_at_any_moment_and_resuming_does_not_change_the_end(definition, moment):
    played = play(definition)

    again = Instance(definition, {"n": 0})
    for number, fact in enumerate(played.facts):
        again.now = fact.at
        if number == moment:
            again.suspend()
        again.apply(fact)
        if number == moment:
            again.resume()
            again.wait(0)

    assert again.status == played.status
    assert (again.state.result and again.state.result.text) == (played.state.result and played.state.result.text)


@some
@given(definitions(), st.integers(0, 6), st.data())
def test_an_instance_cancelled_at_any_moment_can_be_taken_up_again(definition, moment, choices):
    played = Instance(definition, {"n": 0}).start()
    answers = outcomes()
    for _ in range(moment):
        if played.requests():
            played.apply(answer_to(played.requests()[0].wait_id, next(answers), played))
        elif (due_at := played.state.due_at()) is not None:
            played.wait((due_at - played.now).total_seconds())
    was_final = played.state.is_final
    before = Counter(played.open)

    assert played.cancel().changed is not was_final
    assert was_final or played.retry().changed
    assert was_final or before <= Counter(played.open)


class Meddled(Instance):
    """An instance to which anything may happen at any moment, in any status."""

    def answer(self, choices: st.DataObject) -> None:
        if requests := self.requests():
            request = choices.draw(st.sampled_from(requests))
            if choices.draw(st.booleans()):
                self.succeed_wait(request.wait_id, choices.draw(st.sampled_from([None, 3, {"n": 1}])))
            else:
                answered = choices.draw(st.booleans())
                fact = ActivityFailed(at=self.now, wait_id=request.wait_id, problem=UNAVAILABLE, answered=answered)
                self._settle(self.apply(fact))

    def succeed_wait(self, wait_id: str, output: Any) -> None:
        self._settle(self.apply(ActivitySucceeded(at=self.now, wait_id=wait_id, output=output)))

    def lose(self, choices: st.DataObject) -> None:
        for wait_id, wait in list(self.state.waits.items())[:1]:
            blamed, suspected = choices.draw(st.booleans()), choices.draw(st.booleans())
            lost = ActivityLost(at=self.now, wait_id=wait_id, ring=wait.ring, blamed=blamed, suspected=suspected)
            self._settle(self.apply(lost))

    def meddle(self, choices: st.DataObject) -> None:
        match choices.draw(st.sampled_from("aaaaaatttsrcxlp")):
            case "a":
                self.answer(choices)
            case "t":
                self.wait(choices.draw(st.sampled_from([0, 1, 4])))
            case "s":
                self.suspend()
            case "r":
                self.resume()
            case "c":
                self.cancel()
            case "x":
                self.retry(choices.draw(st.sampled_from(["failed", "beginning"])))
            case "l":
                self.lose(choices)
            case "p":
                position = choices.draw(st.sampled_from(sorted(plan_of(self.definition).nodes)))
                self.retry(position, input={"n": 5})


@settings(some, max_examples=150)
@given(definitions(), st.data())
def test_whatever_happens_to_an_instance_its_state_stays_sound(definition, choices):
    played = Meddled(definition, {"n": 0}).start()

    for _ in range(15):
        played.meddle(choices)

    if played.status == "suspended":
        played.resume()
    assert played.state.is_final or played.state.waits
