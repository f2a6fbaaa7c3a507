"""try, catch and retry."""

import pytest

from tests.builders import UNAVAILABLE, Instance, run
from workflows.engine.problems import problem


def retrying(retry: str, more: str = "") -> Instance:
    return Instance(f"do: [{{safe: {{try: [{{work: {{call: work}}}}], catch: {{retry: {retry}{more}}}}}}}]").start()


def delays(played: Instance, count: int) -> list[float]:
    """Let the work fail so often, and return how long each retry was put off, in seconds."""
    found = []
    for _ in range(count):
        played.fail("work")
        due_at = played.state.due_at()
        found.append((due_at - played.now).total_seconds() if due_at else 0)
        played.wait(found[-1])
    return found


CAUGHT = """
    do:
      - safe:
          try: [{work: {call: work}}]
          catch:
            errors: {with: {FILTER}}
            as: err
            do: [{mend: {set: {error: '${ $err }', input: '${ . }'}}}]
"""


@pytest.mark.parametrize(
    "filter",
    [
        "status: 503",
        "type: https://serverlessworkflow.io/spec/1.0.0/errors/communication",
        "type: https://serverlessworkflow.io/dsl/errors/types/communication",
        "type: https://serverlessworkflow.io/spec/1.0.0/errors/communication, status: 503",
        "instance: /do/0/safe/try/0/work",
        "detail: the service is away",
        "details: the service is away",
        "status: '${ . >= 500 }'",
        "status: '${ 500 + 3 }'",
        "title: Communication error",
    ],
)
def test_a_filter_compares_the_members_it_names(filter):
    played = run(CAUGHT.replace("FILTER", filter), {"n": 1})

    played.fail("work")

    assert played.output["error"]["status"] == 503
    assert played.output["error"]["instance"] == "/do/0/safe/try/0/work"


@pytest.mark.parametrize(
    "filter",
    [
        "status: 404",
        "type: https://serverlessworkflow.io/spec/1.0.0/errors/timeout",
        "type: https://serverlessworkflow.io/spec/1.0.0/errors/communication, status: 404",
        "instance: /do/0/other",
        "status: '${ . < 500 }'",
    ],
)
def test_a_problem_that_no_filter_matches_goes_on_upwards(filter):
    played = run(CAUGHT.replace("FILTER", filter), {"n": 1})

    played.fail("work")

    assert played.status == "faulted"
    assert played.history == ["work faulted", "safe faulted"]


def test_catch_do_gets_the_trys_transformed_input_and_the_error_variable_lives_only_there():
    played = run(
        """
        do:
          - safe:
              input: {from: .n}
              try: [{change: {set: changed}}, {work: {call: work}}]
              catch: {as: err, do: [{mend: {set: {input: '${ . }', status: '${ $err.status }'}}}]}
          - after: {set: '${ $err }'}
        """,
        {"n": 7},
    )

    played.fail("work")

    mend = next(run for run in played.runs if run.name == "mend")
    assert mend.output.value == {"input": 7, "status": 503}
    assert played.problem.type.endswith("/expression")


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ("when: .status == 503", "completed"),
        ("when: $error.status == 503", "completed"),
        ("when: .status == 404", "faulted"),
        ("exceptWhen: .status == 503", "faulted"),
        ("exceptWhen: $error.status == 404", "completed"),
        ("when: .status > 1, exceptWhen: .status == 503", "faulted"),
    ],
)
def test_when_and_except_when_see_the_error_as_dot_and_as_variable(conditions, status):
    played = run(f"do: [{{safe: {{try: [{{work: {{call: work}}}}], catch: {{{conditions}}}}}}}]")

    played.fail("work")

    assert played.status == status


def test_with_neither_retry_nor_do_the_problem_is_caught_and_the_trys_input_is_its_output():
    played = run("do: [{safe: {try: [{change: {set: 1}}, {work: {call: work}}], catch: {}}}]", {"n": 1})

    played.fail("work")

    assert (played.status, played.output) == ("completed", {"n": 1})


def test_without_retry_catch_do_runs_at_once():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {do: [{mend: {set: mended}}]}}}]")

    played.fail("work")

    assert played.output == "mended"


def test_a_problem_in_catch_do_goes_on_upwards():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {do: [{worse: {call: work}}]}}}]")

    played.fail("work")
    played.fail("worse")

    assert played.problem.instance == "/do/0/safe/catch/do/0/worse"


def test_a_problem_of_a_control_task_is_caught_like_that_of_an_activity():
    played = run(
        "do: [{safe: {try: [{wrong: {set: '${ .a.b }'}}], catch: {do: [{mend: {set: '${ $error.type }'}}]}}}]", {"a": 1}
    )

    assert played.output.endswith("/expression")


def test_a_retry_runs_the_whole_try_again_with_the_trys_input():
    played = run(
        """
        do:
          - safe:
              try: [{count: {set: {n: '${ .n + 1 }'}}}, {work: {call: work, with: {n: '${ .n }'}}}]
              catch: {retry: {limit: {attempt: {count: 1}}}}
        """,
        {"n": 0},
    )

    played.fail("work")

    assert played.request("work").arguments["with"] == {"n": 1}
    assert played.request("work").attempt == 2


def test_attempt_count_n_is_n_retries_after_the_first_run():
    played = retrying("{limit: {attempt: {count: 2}}}")

    played.fail("work")
    played.fail("work")
    played.fail("work")

    assert played.status == "faulted"
    assert [run.attempt for run in played.runs if run.name == "work"] == [1, 2, 3]


def test_when_retries_are_used_up_catch_do_runs():
    played = retrying("{limit: {attempt: {count: 1}}}", ", do: [{mend: {set: mended}}]")

    played.fail("work")
    assert played.open == ["work"]
    played.fail("work")

    assert played.output == "mended"


def test_a_retry_that_succeeds_is_the_trys_output():
    played = retrying("{delay: {seconds: 3}}")

    played.fail("work")
    assert (played.status, played.open) == ("waiting", [])
    played.wait(3)
    played.succeed("work", {"ok": True})

    assert (played.status, played.output) == ("completed", {"ok": True})


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        ("{delay: {seconds: 2}}", [2, 2, 2]),
        ("{delay: {seconds: 2}, backoff: {constant: {}}}", [2, 2, 2]),
        ("{delay: {seconds: 2}, backoff: {linear: {}}}", [2, 4, 6]),
        ("{delay: {seconds: 2}, backoff: {exponential: {}}}", [2, 4, 8]),
        ("{delay: {seconds: 2}, backoff: {linear: {increment: {seconds: 3}}}}", [2, 5, 8]),
        ("{delay: {seconds: 2}, backoff: {exponential: {multiplier: 3, maxDelay: {seconds: 10}}}}", [2, 6, 10]),
        ("{backoff: {exponential: {}}}", [0, 0, 0]),
        ("{delay: '${ \"PT7S\" }'}", [7, 7, 7]),
    ],
)
def test_the_delay_of_retry_k_follows_the_backoff(retry, expected):
    assert delays(retrying(retry), 3) == expected


def test_jitter_adds_a_part_of_from_to_that_a_replay_repeats():
    retry = "{delay: {seconds: 1}, jitter: {from: {seconds: 2}, to: {seconds: 4}}}"

    found, again = delays(retrying(retry), 4), delays(retrying(retry), 4)

    assert all(3 <= delay <= 5 for delay in found)
    assert len(set(found)) == 4
    assert found == again


def test_the_retrys_own_conditions_decide_whether_to_retry():
    played = retrying('{when: .status == 503, exceptWhen: $error.title == "final"}')

    played.fail("work")
    assert played.open == ["work"]
    played.fail("work", problem("communication", "no", status=503, title="final"))

    assert played.status == "faulted"


def test_limit_duration_bounds_the_whole():
    played = retrying("{delay: {seconds: 4}, limit: {duration: {seconds: 10}}}")

    played.fail("work")
    played.wait(4)
    played.fail("work")
    played.wait(4)
    played.fail("work")

    assert (played.status, played.problem.status) == ("faulted", 503)


def test_limit_duration_interrupts_a_running_attempt():
    played = retrying("{limit: {duration: {seconds: 10}}}", ", do: [{mend: {set: '${ $error.status }'}}]")

    played.wait(10)

    assert played.output == 408


def test_limit_attempt_duration_bounds_each_attempt():
    played = retrying("{limit: {attempt: {count: 1, duration: {seconds: 5}}}}")

    played.wait(5)
    assert (played.open, played.request("work").attempt) == (["work"], 2)
    played.wait(4)
    assert played.status == "running"
    played.wait(1)

    assert (played.problem.status, played.problem.instance) == (408, "/do/0/safe")


def test_an_outer_retry_resets_inner_counts():
    played = run(
        """
        do:
          - outer:
              try:
                - inner: {try: [{work: {call: work}}], catch: {retry: {limit: {attempt: {count: 1}}}}}
              catch: {retry: {limit: {attempt: {count: 1}}}}
        """
    )

    for _ in range(3):
        played.fail("work")
        assert played.status == "running"
    played.fail("work")

    assert played.status == "faulted"
    assert [run.attempt for run in played.runs if run.name == "work"] == [1, 2, 1, 2]


def test_what_a_failed_attempt_exported_stays_in_the_context():
    played = run(
        """
        do:
          - safe:
              try: [{note: {set: 1, export: {as: '{tries: (($context.tries // 0) + 1)}'}}}, {work: {call: work}}]
              catch: {retry: {}}
        """
    )

    played.fail("work")
    played.succeed("work")

    assert played.state.context == {"tries": 2}


def test_a_problem_in_a_condition_of_the_catch_is_the_trys_own():
    played = run("do: [{safe: {try: [{work: {call: work}}], catch: {when: .status}}}]")

    played.fail("work")

    assert played.problem.type.endswith("/expression")
    assert played.problem.instance == "/do/0/safe"


def test_a_delay_beyond_the_calendar_is_an_expression_problem():
    played = retrying("{delay: {days: 4000000}}")

    played.fail("work")

    assert played.problem.type.endswith("/expression")


def test_a_backoff_that_grows_beyond_all_bounds_stops_at_its_max_delay():
    played = retrying("{delay: {seconds: 1}, backoff: {exponential: {multiplier: 1e200, maxDelay: {hours: 1}}}}")

    assert delays(played, 4) == [1, 3600, 3600, 3600]


def test_endless_retries_without_delay_stay_one_step_per_answer():
    played = retrying("{}")

    for _ in range(50):
        played.fail("work", UNAVAILABLE)

    assert played.status == "running"
    assert played.request("work").attempt == 51
    assert len(played.state.frames) == 3
