"""do, then, switch, for, fork, set, raise: what moves where."""

import pytest

from tests.builders import UNAVAILABLE, Instance, run
from workflows.engine.commands import Cancel
from workflows.engine.problems import problem


def test_tasks_run_in_the_order_of_their_declaration_each_on_the_output_of_the_one_before():
    played = run(
        """
        do:
          - red: {set: {colors: '${ .colors + ["red"] }'}}
          - green: {set: {colors: '${ .colors + ["green"] }'}}
          - blue: {set: {colors: '${ .colors + ["blue"] }'}}
        """
    )

    assert played.output == {"colors": ["red", "green", "blue"]}
    assert played.history == ["red", "green", "blue"]


def test_then_names_a_task_of_the_same_list_backwards_too():
    played = run(
        """
        do:
          - first: {set: {n: 0}}
          - again: {set: {n: '${ .n + 1 }'}}
          - enough: {switch: [{no: {when: .n < 3, then: again}}, {yes: {then: last}}]}
          - skipped: {set: {n: -1}}
          - last: {set: {total: '${ .n }'}}
        """
    )

    assert played.output == {"total": 3}
    assert "skipped" not in played.history


def test_exit_leaves_the_innermost_list_of_tasks():
    played = run(
        """
        do:
          - inner:
              do:
                - one: {set: {n: 1}, then: exit}
                - never: {set: {n: 2}}
          - after: {set: {seen: '${ .n }'}}
        """
    )

    assert played.output == {"seen": 1}


def test_exit_at_the_top_ends_the_workflow():
    played = run("do: [{one: {set: 1, then: exit}}, {never: {set: 2}}]")

    assert (played.status, played.output) == ("completed", 1)


def test_exit_in_a_loop_leaves_that_iteration():
    played = run(
        """
        do:
          - each:
              for: {in: '[1, 2, 3]'}
              do:
                - add: {set: {n: '${ (.n // 0) + $item }'}, then: exit}
                - never: {set: {n: 100}}
        """
    )

    assert played.output == {"n": 6}


def test_end_ends_the_workflow_from_anywhere_and_each_enclosing_task_completes_in_turn():
    played = run(
        """
        do:
          - outer:
              do:
                - inner: {do: [{stop: {set: {n: 1}, then: end}}, {never: {set: 2}}], output: {as: '{n: (.n + 1)}'}}
              output: {as: '{n: (.n + 18)}'}
              export: {as: '{last: .n}'}
          - never: {set: 3}
        output: {as: '{total: .n}'}
        """
    )

    assert played.output == {"total": 20}
    assert played.state.context == {"last": 20}
    assert played.history == ["stop", "inner", "outer"]


def test_end_in_a_branch_cancels_the_other_branches():
    played = run(
        """
        do:
          - both: {fork: {branches: [{slow: {call: work}}, {quick: {set: 7, then: end}}]}}
          - never: {set: 1}
        """
    )

    assert (played.status, played.output) == ("completed", 7)
    assert played.history == ["quick", "slow cancelled", "both"]


def test_a_task_skipped_by_if_hands_on_its_raw_input_and_neither_output_export_nor_then_apply():
    played = run(
        """
        do:
          - skipped:
              if: .n > 5
              set: {n: 100}
              output: {as: '{wrong: true}'}
              export: {as: '{wrong: true}'}
              then: end
          - next: {set: {n: '${ .n + 1 }'}}
        """,
        {"n": 1},
    )

    assert played.output == {"n": 2}
    assert played.state.context == {}
    assert played.history == ["skipped skipped", "next"]


SWITCH = """
    do:
      - which:
          switch:
            - other: {then: fallback}
            - small: {when: .n < 10, then: small}
            - tiny: {when: .n < 5, then: tiny}
      - tiny: {set: tiny, then: exit}
      - small: {set: small, then: exit}
      - fallback: {set: fallback}
"""


@pytest.mark.parametrize(("n", "output"), [(1, "small"), (7, "small"), (50, "fallback")])
def test_in_a_switch_the_first_match_wins_and_the_case_without_when_comes_last_wherever_it_stands(n, output):
    played = run(SWITCH, {"n": n})

    assert played.output == output


def test_a_switch_without_match_and_default_follows_its_own_then_and_hands_on_its_input():
    played = run(
        """
        do:
          - which: {switch: [{big: {when: .n > 5, then: end}}], then: last}
          - never: {set: 1}
          - last: {set: {seen: '${ .n }'}}
        """,
        {"n": 1},
    )

    assert played.output == {"seen": 1}


def test_set_replaces_and_never_merges_and_may_yield_a_non_object():
    played = run("do: [{one: {set: {a: 1}}}, {two: {set: {b: 2}}}, {three: {set: '${ [.] }'}}]", {"old": True})

    assert played.output == [{"b": 2}]


def test_in_a_loop_the_output_of_an_iteration_is_the_input_of_the_next():
    played = run(
        """
        do:
          - sum:
              for: {each: color, at: place, in: .colors}
              do:
                - add: {set: {colors: [], seen: '${ (.seen // []) + [{($color): $place}] }'}}
        """,
        {"colors": ["red", "blue"]},
    )

    assert played.output == {"colors": [], "seen": [{"red": 0}, {"blue": 1}]}
    assert [run.iteration for run in played.runs if run.name == "add"] == [0, 1]


@pytest.mark.parametrize("items", ["[]", "null"])
def test_a_loop_without_items_hands_on_its_input(items):
    played = run(f"do: [{{each: {{for: {{in: '{items}'}}, do: [{{never: {{set: 1}}}}]}}}}]", {"n": 1})

    assert played.output == {"n": 1}


def test_a_loop_over_something_that_is_no_array_is_an_expression_problem():
    played = run("do: [{each: {for: {in: .n}, do: [{never: {set: 1}}]}}]", {"n": {"a": 1}})

    assert played.problem.type.endswith("/expression")
    assert played.problem.instance == "/do/0/each"


def test_a_loop_whose_in_yields_nothing_is_an_expression_problem():
    played = run("do: [{each: {for: {in: empty}, do: [{never: {set: 1}}]}}]")

    assert played.problem.type.endswith("/expression")


def test_while_is_tested_before_each_iteration_on_the_data_with_item_and_index_bound():
    played = run(
        """
        do:
          - each:
              for: {in: '[5, 6, 7, 8]'}
              while: .n < 12 and $index < 3 and $item < 100
              do: [{add: {set: {n: '${ .n + $item }'}}}]
        """,
        {"n": 0},
    )

    assert played.output == {"n": 18}


def test_a_loop_variable_is_seen_in_tasks_further_in_and_the_innermost_of_one_name_wins():
    played = run(
        """
        do:
          - outer:
              for: {each: x, in: '["a", "b"]'}
              do:
                - inner:
                    for: {in: '[1, 2]'}
                    do: [{note: {set: '${ . + ["\\($x)\\($item)\\($index)"] }'}}]
        """,
        [],
    )

    assert played.output == ["a10", "a21", "b10", "b21"]


PARALLEL = """
    do:
      - each:
          for: {in: .items, parallel: true, maxConcurrency: 2}
          do:
            - work: {call: work, with: {item: '${ $item }'}}
            - note: {set: '${ [$index, .] }'}
"""


def test_parallel_items_run_at_most_max_concurrency_at_once_and_come_out_in_the_order_of_items():
    played = run(PARALLEL, {"items": ["a", "b", "c"]})
    assert [request.arguments["with"] for request in played.requests()] == [{"item": "a"}, {"item": "b"}]

    second = played.requests()[1]
    played.succeed("work", "A")
    assert [request.arguments["with"]["item"] for request in played.requests()] == ["b", "c"]
    assert second.iteration == 1
    played.succeed("work", "B")
    played.succeed("work", "C")

    assert played.output == [[0, "A"], [1, "B"], [2, "C"]]


def test_parallel_items_do_not_see_each_other_and_no_items_give_an_empty_array():
    assert run(PARALLEL, {"items": []}).output == []

    played = run("do: [{each: {for: {in: '[1, 2]', parallel: true}, do: [{add: {set: '${ . + $item }'}}]}}]", 10)

    assert played.output == [11, 12]


def test_a_parallel_item_that_fails_faults_the_loop_and_cancels_the_rest():
    played = run(PARALLEL, {"items": [1, 2, 3]})

    played.fail("work")

    assert played.status == "faulted"
    assert played.history == ["work faulted", "work cancelled", "each faulted"]


FORK = """
    do:
      - both:
          fork:
            branches:
              - first: {call: work, with: {n: '${ .n }'}}
              - second: {do: [{inner: {call: work, with: {n: '${ .n }'}}}, {then: {set: '${ [.] }'}}]}
"""


def test_a_fork_gives_the_outputs_of_its_branches_in_the_order_of_their_declaration():
    played = run(FORK, {"n": 1})
    assert [request.arguments["with"] for request in played.requests()] == [{"n": 1}, {"n": 1}]

    played.succeed("inner", "B")
    played.succeed("first", "A")

    assert played.output == ["A", ["B"]]


def test_a_failing_branch_faults_the_fork_and_cancels_the_rest():
    played = run(FORK, {"n": 1})
    inner = played.request("inner").wait_id

    step = played.fail("first")

    assert played.status == "faulted"
    assert Cancel(wait_id=inner, kind="activity") in step.commands
    assert played.history == ["first faulted", "inner cancelled", "second cancelled", "both faulted"]


COMPETE = """
    do:
      - race: {fork: {compete: true, branches: [{a: {call: work}}, {b: {call: work}}, {c: {call: work}}]}}
"""


def test_when_branches_compete_the_winners_output_is_the_tasks_and_the_others_are_cancelled():
    played = run(COMPETE)

    played.succeed("b", "B")

    assert played.output == "B"
    assert played.history == ["b", "c cancelled", "a cancelled", "race"]


def test_a_failing_branch_does_not_win_while_others_run_and_the_task_faults_when_all_failed():
    played = run(COMPETE)

    played.fail("a")
    played.fail("c")
    assert played.status == "running"
    played.fail("b", problem("communication", "the last one", status=502))

    assert played.problem.status == 502
    assert played.problem.instance == "/do/0/race/fork/branches/1/b"


def test_of_branches_that_end_in_one_step_the_first_declared_wins():
    played = run("do: [{race: {fork: {compete: true, branches: [{a: {set: A}}, {b: {set: B}}]}}}]")

    assert played.output == "A"


def test_branches_share_the_context_and_an_export_replaces_it_when_it_happens():
    played = run(
        """
        do:
          - both:
              fork:
                branches:
                  - a: {call: work, export: {as: '$context + {a: .}'}}
                  - b: {call: work, export: {as: '$context + {b: .}'}}
          - see: {set: '${ $context }'}
        """
    )

    played.succeed("b", 2)
    played.succeed("a", 1)

    assert played.output == {"b": 2, "a": 1}


def test_what_a_losing_branch_exported_stays_in_the_context():
    played = run(
        """
        do:
          - race:
              fork:
                compete: true
                branches:
                  - a: {do: [{note: {set: 1, export: {as: '{seen: true}'}}}, {slow: {call: work}}]}
                  - b: {call: work}
        """
    )

    played.succeed("b")

    assert played.state.context == {"seen": True}


def test_raise_faults_with_the_problem_as_written_and_the_runtime_names_the_task():
    played = run(
        """
        do:
          - wrong:
              raise:
                error:
                  type: https://example.com/errors/wrong
                  status: '${ .code }'
                  title: '${ "No " + .what }'
                  detail: because
                  instance: /somewhere/else
        """,
        {"code": 418, "what": "tea"},
    )

    assert played.status == "faulted"
    found = played.problem
    assert (found.type, found.status, found.title) == ("https://example.com/errors/wrong", 418, "No tea")
    assert (found.detail, found.instance) == ("because", "/do/0/wrong")


@pytest.mark.parametrize("status", ["'${ \"tea\" }'", "'${ null }'", "'${ true }'"])
def test_a_raised_status_that_is_no_number_is_an_expression_problem(status):
    played = run(f"do: [{{wrong: {{raise: {{error: {{type: 'https://x.org', status: {status}}}}}}}}}]")

    assert played.problem.type.endswith("/expression")


def test_an_uncaught_problem_faults_the_tasks_around_it_and_the_instance():
    played = Instance("do: [{outer: {do: [{inner: {call: work}}]}}]").start()

    played.fail("inner", UNAVAILABLE)

    assert played.history == ["inner faulted", "outer faulted"]
    assert played.problem.instance == "/do/0/outer/do/0/inner"
    assert [phase.status for phase in played.phases] == ["running", "faulted"]


def test_exit_in_a_branch_leaves_that_branch_alone():
    played = run(
        """
        do:
          - both: {fork: {branches: [{a: {do: [{one: {set: 1, then: exit}}, {two: {set: 2}}]}}, {b: {set: 3}}]}}
          - after: {set: '${ . + [4] }'}
        """
    )

    assert played.output == [1, 3, 4]


def test_end_in_a_function_ends_the_workflow():
    played = run(
        "use: {functions: {stop: {do: [{now: {set: 1, then: end}}]}}}\ndo: [{a: {call: stop}}, {never: {set: 2}}]"
    )

    assert (played.output, played.history) == (1, ["now", "stop", "a"])


def test_end_in_a_loop_or_try_ends_the_workflow_without_further_iterations():
    played = run(
        "do: [{each: {for: {in: '[1, 2]'}, do: [{safe: {try: [{stop: {set: '${ $item }', then: end}}], catch: {}}}]}}]"
    )

    assert (played.output, played.history) == (1, ["stop", "safe", "each"])


def test_while_stops_a_parallel_loop_before_the_first_item_for_which_it_does_not_hold():
    loop = "for: {in: '[1, 2, 9, 3]', parallel: true}, while: $item < LIMIT, do: [{note: {set: '${ $item }'}}]"

    assert run(f"do: [{{each: {{{loop.replace('LIMIT', '5')}}}}}]").output == [1, 2]
    assert run(f"do: [{{each: {{{loop.replace('LIMIT', '0')}}}}}]").output == []


def test_a_switch_whose_case_says_end_or_exit_leaves_with_its_input():
    text = "do: [{inner: {do: [{which: {switch: [{c: {then: WAY}}]}}, {never: {set: 1}}]}}, {after: {set: after}}]"

    assert run(text.replace("WAY", "end"), {"n": 1}).output == {"n": 1}
    assert run(text.replace("WAY", "exit"), {"n": 1}).output == "after"


def test_names_are_escaped_in_positions():
    played = run("do: [{'a/b~c': {call: work}}]")

    played.fail("a/b~c")

    assert played.problem.instance == "/do/0/a~1b~0c"


SEED = """
    do:
      - processBatch:
          for:
            iterator: "${ .items | _chunk(100) }"
            as: "batch"
            parallel: true
            maxConcurrency: 10
            do:
              - processBatch:
                  callHTTP: {url: "https://api.example.com/batch-process", method: "POST", body: "${ .batch }"}
"""


def test_batches_in_the_older_spelling_are_at_most_ten_at_once_and_come_out_in_order():
    played = run(SEED, {"items": list(range(1050))})
    most = sizes = 0
    bodies = []
    while played.requests():
        most = max(most, len(played.requests()))
        bodies.append(played.requests()[0].arguments["body"])
        sizes += 1
        played.succeed("processBatch", bodies[-1][0])

    assert (sizes, most, [len(body) for body in bodies]) == (11, 10, [100] * 10 + [50])
    assert played.output == [100 * number for number in range(11)]


def test_an_item_in_the_older_spelling_is_found_in_the_input_of_each_task_that_looks_for_it_there():
    played = run(
        """
        do:
          - each:
              for:
                in: .orders
                as: order
                do:
                  - first: {set: '${ {sum: (.sum // 0) + .order.price} }'}
                  - second: {do: [{third: {input: {from: '${ {sum, name: .order.name} }'}, set: '${ . }'}}]}
        """,
        {"orders": [{"name": "a", "price": 1}, {"name": "b", "price": 2}]},
    )

    assert played.output == {"sum": 3, "name": "b"}
