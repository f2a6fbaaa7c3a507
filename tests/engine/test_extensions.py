"""Extensions: tasks before and after other tasks."""

from tests.builders import run

LOGGING = """
    use:
      extensions:
        - logging:
            extend: EXTEND
            before: [{before: {set: '${ "before " + $task.reference }'}}]
            after: [{after: {set: '${ {after: $task.reference, output: $task.output} }'}}]
"""


def logged(extend: str, tasks: str, input: object = None) -> list[str]:
    played = run(LOGGING.replace("EXTEND", extend) + f"    do: {tasks}\n", input)
    assert played.status == "completed", played.problem
    return played.history


def test_tasks_run_before_and_after_the_tasks_they_extend():
    assert logged("set", "[{a: {set: 1}}, {b: {set: 2}}]") == ["before", "after", "a", "before", "after", "b"]


def test_only_the_sort_of_task_that_is_named_is_extended():
    assert logged("wait", "[{a: {set: 1}}]") == ["a"]
    assert logged("composite", "[{a: {do: [{b: {set: 1}}]}}]") == ["before", "b", "after", "a"]


def test_extensions_do_not_extend_extension_tasks():
    assert logged("all", "[{a: {set: 1}}]") == ["before", "after", "a"]


def test_tasks_of_an_extension_see_the_task_they_extend_and_change_neither_its_input_nor_its_output():
    played = run(LOGGING.replace("EXTEND", "set") + "    do: [{a: {set: {n: '${ .n + 1 }'}}}]\n", {"n": 1})

    assert played.output == {"n": 2}
    before, after = (run for run in played.runs if run.name in ("before", "after"))
    assert before.output.value == "before /do/0/a"
    assert after.output.value == {"after": "/do/0/a", "output": {"n": 2}}


SEVERAL = """
    use:
      extensions:
        - one: {extend: set, before: [{b1: {set: 1}}], after: [{a1: {set: 1}}]}
        - two: {extend: set, before: [{b2: {set: 1}}], after: [{a2: {set: 1}}]}
    do: [{task: {set: 1}}]
"""


def test_before_runs_in_order_and_after_in_reverse():
    assert run(SEVERAL).history == ["b1", "b2", "a2", "a1", "task"]


MOCKING = """
    use:
      extensions:
        - mock:
            extend: call
            when: $task.call == "http" and ($task.with.endpoint.uri | startswith("https://mocked"))
            before: [{answer: {set: {mocked: true}, then: exit}}, {never: {set: 1}}]
    do:
      - work: {call: http, with: {method: get, endpoint: {uri: 'URI'}}, output: {as: '{got: .}'}, export: {as: .got}}
"""


def test_before_that_leaves_by_exit_skips_the_task_and_its_output_stands_in_for_the_raw_output():
    played = run(MOCKING.replace("URI", "https://mocked.example"))

    assert played.output == {"got": {"mocked": True}}
    assert played.state.context == {"mocked": True}
    assert played.history == ["answer", "work"]


def test_when_sees_the_definition_of_the_task():
    played = run(MOCKING.replace("URI", "https://real.example"))

    assert played.open == ["work"]


def test_a_problem_in_an_extension_is_one_of_the_task_around_it():
    played = run(
        """
        use: {extensions: [{bad: {extend: set, before: [{worse: {call: work}}]}}]}
        do: [{safe: {try: [{task: {set: 1}}], catch: {do: [{mend: {wait: {seconds: 1}}}]}}}]
        """
    )

    played.fail("worse")

    assert played.history == ["worse faulted", "task faulted"]
    assert played.status == "waiting"


def test_an_export_of_an_extension_changes_the_context():
    played = run(
        """
        use:
          extensions:
            - count: {extend: set, after: [{note: {set: 1, export: {as: '{n: (($context.n // 0) + 1)}'}}}]}
        do: [{a: {set: 1}}, {b: {set: 2}}]
        """
    )

    assert (played.output, played.state.context) == (2, {"n": 2})


def test_activities_in_extensions_of_a_competing_fork_start_when_the_race_is_over():
    played = run(
        """
        use: {extensions: [{log: {extend: fork, after: [{tell: {call: work}}]}}]}
        do: [{race: {fork: {compete: true, branches: [{a: {call: work}}, {b: {call: work}}]}}}]
        """
    )

    played.succeed("b", "B")
    assert played.open == ["tell"]
    played.succeed("tell")

    assert played.output == "B"
