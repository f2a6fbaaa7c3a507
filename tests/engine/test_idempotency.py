"""The idempotency key of an activity: one per entry of its task, kept while nobody knows how it ended."""

from tests.builders import START, Instance, run
from workflows.engine.facts import ActivityLost

SAFE = """
    do:
      - safe:
          try: [{reserve: {call: work}}, {charge: {call: work}}]
          catch: {retry: {}}
"""


def key(played: Instance, task: str) -> str:
    return played.request(task).idempotency_key


def test_a_key_belongs_to_the_entry_of_a_task():
    text = "do: [{each: {for: {in: '[1, 2]'}, do: [{work: {call: work}}]}}]"
    played, replayed = run(text), run(text)
    first = key(played, "work")
    assert key(replayed, "work") == first

    played.succeed("work")

    assert key(played, "work") != first
    assert key(run(text, id="i-2"), "work") != first


def test_a_second_ring_has_the_same_key():
    played = run(SAFE)
    first = played.request("reserve")

    played.apply(ActivityLost(at=START, wait_id=first.wait_id, ring=1, blamed=True))

    assert key(played, "reserve") == first.idempotency_key


def test_a_retry_after_an_answer_has_a_new_key():
    played = run(SAFE)
    played.succeed("reserve")
    first = key(played, "charge")

    played.fail("charge", answered=True)
    played.succeed("reserve")

    assert key(played, "charge") != first


def test_a_retry_after_an_unknown_outcome_keeps_the_key_of_that_task_alone():
    played = run(SAFE)
    reserve = key(played, "reserve")
    played.succeed("reserve")
    charge = key(played, "charge")

    played.fail("charge", answered=False)

    assert key(played, "reserve") != reserve
    played.succeed("reserve")
    assert key(played, "charge") == charge


def test_a_key_is_kept_until_an_answer_comes_and_then_forgotten():
    played = run("do: [{safe: {try: [{charge: {call: work}}], catch: {retry: {}}}}]")
    first = key(played, "charge")

    played.fail("charge", answered=False)
    played.fail("charge", answered=False)
    assert key(played, "charge") == first
    played.fail("charge", answered=True)

    assert key(played, "charge") != first
    assert played.state.unknown == {}


def test_a_charge_that_timed_out_and_is_retried_is_one_charge():
    played = run(
        """
        do:
          - safe:
              try: [{charge: {call: work, timeout: {after: {seconds: 5}}}}]
              catch: {retry: {delay: {seconds: 1}}}
        """
    )
    first = key(played, "charge")

    played.wait(6)

    assert (key(played, "charge"), played.request("charge").attempt) == (first, 2)


def test_a_branch_cancelled_by_a_failing_sibling_keeps_its_key_when_the_fork_is_retried():
    played = run(
        "do: [{safe: {try: [{both: {fork: {branches: [{a: {call: work}}, {b: {call: work}}]}}}], catch: {retry: {}}}}]"
    )
    first = key(played, "b")

    played.fail("a")

    assert key(played, "b") == first


def test_another_iteration_or_jump_is_another_entry_and_never_gets_a_kept_key():
    played = run(
        """
        do:
          - safe:
              try:
                - poll: {call: work}
                - again: {switch: [{no: {when: .done != true, then: poll}}]}
              catch: {retry: {}}
        """
    )
    played.succeed("poll", {"done": False})
    second = key(played, "poll")

    played.fail("poll", answered=False)

    assert key(played, "poll") != second
    played.succeed("poll", {"done": False})
    assert key(played, "poll") == second


def test_an_inner_try_that_gives_up_hands_its_key_to_the_retry_of_an_outer_one():
    played = run(
        """
        do:
          - outer:
              try: [{inner: {try: [{charge: {call: work}}], catch: {retry: {limit: {attempt: {count: 1}}}}}}]
              catch: {retry: {}}
        """
    )
    first = key(played, "charge")

    for _ in range(3):
        played.fail("charge", answered=False)

    assert key(played, "charge") == first


def test_keys_are_forgotten_when_a_catch_without_retry_has_dealt_with_the_problem():
    played = run(
        """
        do:
          - each:
              for: {in: '[1, 2, 3]'}
              do: [{safe: {try: [{work: {call: work}}], catch: {do: [{mend: {set: 1}}]}}}]
        """
    )

    played.fail("work", answered=False)
    played.fail("work", answered=False)

    assert played.state.unknown == {}


def test_an_operators_retry_keeps_the_key_of_an_unknown_outcome_but_not_with_edited_input():
    played, edited = run("do: [{charge: {call: work}}]"), run("do: [{charge: {call: work}}]")
    first = key(played, "charge")
    played.fail("charge", answered=False)
    edited.fail("charge", answered=False)

    played.retry()
    edited.retry(input={"amount": 2})

    assert key(played, "charge") == first
    assert key(edited, "charge") != first


def test_an_operators_retry_after_cancelling_keeps_the_key_of_what_was_running():
    played = run("do: [{charge: {call: work}}]")
    first = key(played, "charge")
    played.cancel()

    played.retry()

    assert key(played, "charge") == first


def test_an_operators_retry_after_an_answer_has_a_new_key():
    played = run("do: [{charge: {call: work}}]")
    first = key(played, "charge")
    played.fail("charge", answered=True)

    played.retry()

    assert key(played, "charge") != first
