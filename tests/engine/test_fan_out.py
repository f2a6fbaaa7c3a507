"""Items at the same time, many of them: `for` with `parallel: true`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import UNAVAILABLE, Instance, define, hash_of, run
from workflows.engine import Data, advance, decode_state, encode_state
from workflows.engine.driver import MOVES_LIMIT
from workflows.engine.facts import ActivityFailed, ActivitySucceeded, Fact
from workflows.engine.outputs import Outputs

ITEMS = "do: [{all: {for: {in: .items, parallel: true}, do: [{work: {call: work, with: {item: '${ $item }'}}}]}}]"
RETRIED = """
do:
  - all:
      for: {in: .items, parallel: true, maxConcurrency: 3}
      do:
        - safely:
            try: [{work: {call: work, with: {item: '${ $item }'}, timeout: {after: PT9S}}}]
            catch: {retry: {delay: PT0S, limit: {attempt: {count: 2}}}}
"""


def answer(played: Instance, wait_id: str) -> Fact:
    """The answer of an item's activity, which says whose it is."""
    [item] = [request.arguments["with"]["item"] for request in played.requests() if request.wait_id == wait_id]
    return ActivitySucceeded(at=played.now, wait_id=wait_id, output={"of": item})


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(7)), st.lists(st.integers(0, 6), max_size=7))
def test_items_that_end_in_any_order_and_are_answered_twice_give_one_output(order, again):
    played = run(ITEMS, {"items": list("abcdefg")})
    answers = [answer(played, request.wait_id) for request in played.requests()]

    for number in order:
        played.apply(answers[number])
        doubled = [played.apply(answers[late]).changed for late in again if late in order[: order.index(number) + 1]]
        assert not any(doubled)

    assert played.output == [{"of": item} for item in "abcdefg"]
    assert sorted(run.iteration for run in played.runs if run.name == "work") == list(range(7))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_items_that_are_tried_again_end_with_the_same_output_whatever_fails_first(choices):
    played = run(RETRIED, {"items": [1, 2, 3, 4, 5]})
    failed = dict.fromkeys(range(1, 6), 0)

    while not played.state.is_final:
        request = choices.draw(st.sampled_from(played.requests()))
        item = request.arguments["with"]["item"]
        fails = failed[item] < 2 and choices.draw(st.booleans())
        failed[item] += fails
        failure = ActivityFailed(at=played.now, wait_id=request.wait_id, problem=UNAVAILABLE)
        played.apply(failure if fails else answer(played, request.wait_id))

    assert played.output == [{"of": item} for item in range(1, 6)]
    assert not played.state.waits


def test_more_items_than_a_step_may_enter_are_entered_by_steps_of_their_own_and_joined_in_order():
    count = MOVES_LIMIT + 200
    played = run("do: [{all: {for: {in: .items, parallel: true}, do: [{say: {set: '${ $item }'}}]}}]",
                 {"items": list(range(count))})  # fmt: skip

    assert played.output == list(range(count))


def test_the_run_of_an_item_says_that_its_input_is_that_of_all_items():
    played = run(
        "do: [{all: {for: {in: .items, parallel: true}, do: [{first: {set: {n: '${ $item }'}}}, {then: {set: 1}}]}},"
        " {each: {for: {in: '[1, 2]'}, do: [{one: {set: 2}}]}}]",
        {"items": [1, 2]},
    )

    assert [run.name for run in played.runs if run.is_shared] == ["first", "first"]


def test_adding_an_output_leaves_what_it_was_added_to_as_it_was():
    none = Outputs()
    one = none.plus(4, Data("four"))

    two, other = one.plus(1, Data("one")), one.plus(2, Data("two"))
    again = one.plus(4, Data("for"))

    assert [len(outputs) for outputs in (none, one, two, other)] == [0, 1, 2, 2]
    assert [data.value for data in two.in_order()] == ["one", "four"]
    assert [data.value for data in other.in_order()] == ["two", "four"]
    assert [data.value for outputs in (one, again) for data in outputs.in_order()] == ["four", "for"]
    assert (list(two.by_index()), list(one.by_index())) == ([4, 1], [4])
    assert two == one.plus(1, two.by_index()[1])
    assert two != other


def test_outputs_come_back_from_the_stored_form_in_the_order_in_which_they_came():
    played = run(ITEMS, {"items": [1, 2, 3]})
    for wait_id in [request.wait_id for request in played.requests()][:0:-1]:
        played.apply(answer(played, wait_id))

    again = decode_state(encode_state(played.state), played.input.text)

    [memo] = [frame.memo for frame in again.frames.values() if frame.memo is not None]
    assert list(memo.outputs.by_index()) == [2, 1]
    assert encode_state(again) == encode_state(played.state)


@pytest.mark.parametrize("text", [ITEMS, RETRIED])
def test_a_state_that_is_given_away_gives_the_same_steps(text):
    definition = define(text)
    kept = Instance(definition, {"items": [1, 2, 3, 4]}).start()
    while not kept.state.is_final:
        kept.apply(answer(kept, kept.requests()[-1].wait_id))

    state = Instance(definition, {"items": [1, 2, 3, 4]}).state
    for fact, known in zip(kept.facts, kept.steps, strict=True):
        step = advance(definition, state, fact, given_away=True)
        again = advance(definition, step.state, fact, given_away=True)
        assert (hash_of(step.state), step.commands) == (hash_of(known.state), known.commands)
        assert (again.changed, hash_of(again.state)) == (False, hash_of(known.state))
        state = step.state
