"""Every strategy of `listen` with every feature: correlation, foreach, timeout, suspension, doubles, crash.

Between any two facts the state goes through its stored form (`tests/builders.py`), so each row is also the test of a
crash there. Each strategy is told the same story in its own words: events that it wants, in this order, and what it has
taken when it ends.
"""

from typing import Any, NamedTuple

import pytest

from tests.builders import Instance, run


class Strategy(NamedTuple):
    """One way to consume events."""

    to: str
    """With `%s` where a filter may correlate."""

    story: tuple[tuple[str, int], ...]
    """Types and numbers of events that it wants, the last one ends it."""

    output: list[int]
    """Numbers of the events that it took."""


STRATEGIES = {
    "one": Strategy("{one: {with: {type: a}%s}}", (("a", 1),), [1]),
    "any": Strategy("{any: [{with: {type: a}%s}, {with: {type: b}%s}]}", (("b", 1),), [1]),
    "all": Strategy(
        "{all: [{with: {type: a}%s}, {with: {type: b}%s}, {with: {type: c}%s}]}",
        (("c", 1), ("a", 2), ("b", 3)),
        [1, 2, 3],
    ),
    "any until a condition": Strategy(
        "{any: [{with: {type: a}%s}, {with: {type: b}%s}], until: 'length > 2'}",
        (("b", 1), ("a", 2), ("b", 3)),
        [1, 2, 3],
    ),
    "any until an event": Strategy(
        "{any: [{with: {type: a}%s}, {with: {type: b}%s}], until: {one: {with: {type: stop}%s}}}",
        (("a", 1), ("b", 2), ("stop", 3)),
        [1, 2],
    ),
    "any until all of some events": Strategy(
        "{any: [{with: {type: a}%s}], until: {all: [{with: {type: stop}%s}, {with: {type: halt}%s}]}}",
        (("halt", 1), ("a", 2), ("a", 3), ("stop", 4)),
        [2, 3],
    ),
}
EACH = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
BY_ORDER = ", correlate: {order: {from: .data.order}}"
BY_INPUT = ", correlate: {order: {from: .orderid, expect: '${ .order }'}}"
FOREACH = "foreach: {item: heard, at: n, do: [{work: {call: work, with: {n: '${ $heard.n }', at: '${ $n }'}}}]}"


def listen(strategy: Strategy, correlate: str = "", more: str = "", tail: str = "") -> str:
    to = strategy.to.replace("%s", correlate)
    return f"do:\n  - hear:\n      listen: {{to: {to}}}\n      {more or 'metadata: {}'}\n{tail}"


def tell(played: Instance, strategy: Strategy, **more: Any) -> list[bool]:
    return [played.hear(type, {"n": n, **more}) for type, n in strategy.story]


def numbers(output: list[dict[str, Any]]) -> list[int]:
    return [data["n"] for data in output]


@EACH
def test_it_takes_what_it_wants_in_the_order_of_arrival_and_ends(strategy):
    played = run(listen(strategy))
    assert played.status == "waiting"
    assert not played.hear("other", {"n": 0})

    assert all(tell(played, strategy))

    assert played.status == "completed"
    assert numbers(played.output) == strategy.output
    assert not played.subscriptions()


@EACH
def test_an_event_that_comes_twice_counts_once(strategy):
    played = run(listen(strategy))

    for type, n in strategy.story:
        assert played.hear(type, {"n": n})
        assert not played.offer(played.events[-1])

    assert numbers(played.output) == strategy.output


@EACH
def test_with_a_correlation_the_first_event_binds_the_others(strategy):
    played = run(listen(strategy, BY_ORDER))
    (first, *rest) = strategy.story
    assert played.hear(first[0], {"n": first[1], "order": "o-1"})

    for type, n in rest:
        assert not played.hear(type, {"n": 100, "order": "o-2"})
        assert not played.hear(type, {"n": 100, "order": None})
        assert played.hear(type, {"n": n, "order": "o-1"})

    assert numbers(played.output) == strategy.output


@EACH
def test_with_an_expected_value_nothing_else_correlates(strategy):
    played = run(listen(strategy, BY_INPUT), {"order": 7})

    for type, n in strategy.story:
        assert not played.hear(type, {"n": 100}, orderid=8)
        assert not played.hear(type, {"n": 100})
        assert played.hear(type, {"n": n}, orderid=7)

    assert numbers(played.output) == strategy.output


@EACH
def test_foreach_deals_with_one_event_after_the_other_and_its_outputs_are_the_output(strategy):
    played = run(listen(strategy, more=FOREACH))

    assert all(tell(played, strategy))

    for at, n in enumerate(strategy.output):
        assert played.open == ["work"]
        assert played.request("work").arguments["with"] == {"n": n, "at": at}
        assert played.request("work").iteration == at
        played.succeed("work", {"done": n})
    assert played.output == [{"done": n} for n in strategy.output]
    assert played.status == "completed"


@EACH
def test_a_timeout_ends_it_even_in_the_middle(strategy):
    played = run(listen(strategy, more="timeout: {after: {seconds: 10}}"))
    played.wait(9)
    for type, n in strategy.story[:-1]:
        played.hear(type, {"n": n})

    played.wait(1)

    assert played.problem.type.endswith("/timeout")
    assert not played.subscriptions()


@EACH
def test_while_suspended_events_are_held_in_their_order_and_applied_at_the_resume(strategy):
    played = run(listen(strategy))
    played.suspend()

    assert all(tell(played, strategy))
    assert not any(played.offer(event) for event in played.events)
    assert not played.hear("other")
    assert played.status == "suspended"
    played.resume()

    assert numbers(played.output) == strategy.output


@EACH
def test_cancelled_it_wants_nothing_any_more(strategy):
    played = run(listen(strategy, more=FOREACH))
    for type, n in strategy.story[:-1]:
        played.hear(type, {"n": n})

    played.cancel()

    assert (played.status, played.subscriptions()) == ("cancelled", [])


@EACH
def test_in_a_branch_that_loses_it_wants_nothing_any_more(strategy):
    text = f"""
        do:
          - race:
              fork:
                compete: true
                branches: [{{hear: {{listen: {{to: {strategy.to.replace("%s", "")}}}}}}}, {{work: {{call: work}}}}]
    """
    played = run(text)
    for type, n in strategy.story[:-1]:
        played.hear(type, {"n": n})

    played.succeed("work", "won")

    assert (played.output, played.subscriptions()) == ("won", [])


@EACH
def test_in_a_loop_each_round_begins_anew(strategy):
    text = f"""
        do:
          - twice:
              for: {{in: '[1, 2]'}}
              do: [{{hear: {{listen: {{to: {strategy.to.replace("%s", BY_ORDER)}}}, output: {{as: 'map(.n)'}}}}}}]
    """
    played = run(text)

    for order in ("o-1", "o-2"):
        assert all(tell(played, strategy, order=order))

    assert played.status == "completed"
    assert [found.output.value for found in played.runs if found.name == "hear"] == [strategy.output] * 2


@EACH
def test_what_one_round_took_is_not_kept_for_the_next(strategy):
    text = f"""
        do:
          - twice:
              for: {{in: '[1, 2]'}}
              do: [{{hear: {{listen: {{to: {strategy.to.replace("%s", BY_ORDER)}}}}}}}]
    """
    played = run(text)
    at = played.now
    played.wait(1)
    tell(played, strategy, order="o-1")

    again = [played.offer(event, kept_from=at) for event in played.events]

    assert not any(again)
    assert played.status == "waiting"


@EACH
def test_a_retry_hears_again_what_the_attempt_before_it_had(strategy):
    text = f"""
        do:
          - guarded:
              try: [{{hear: {{listen: {{to: {strategy.to.replace("%s", BY_ORDER)}}}}}}}, {{work: {{call: work}}}}]
              catch: {{retry: {{delay: {{seconds: 1}}}}}}
    """
    played = run(text)
    at = played.now
    tell(played, strategy, order="o-1")
    played.fail("work")
    played.wait(2)

    assert all(played.offer(event, kept_from=at) for event in played.events)

    assert played.open == ["work"]
