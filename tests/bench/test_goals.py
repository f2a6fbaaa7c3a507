"""What was wanted and what was reached."""

from bench.goals import table


def line(peer, workload, variant="default", **figures):
    return {"peer": peer, "workload": workload, "variant": variant, **figures}


def verdicts(summary):
    rows = [row.strip("| ").split(" | ") for row in table(summary).splitlines()[2:]]
    return {name: (reached, verdict) for name, _, reached, verdict in rows}


def test_the_best_durable_peer_is_what_counts():
    summary = [
        line("lemline", "W4", "500", instances_per_s=800.0),
        line("celery", "W4", "500", instances_per_s=9000.0),
        line("dbos", "W4", "500", instances_per_s=80.0),
        line("restate", "W4", "500", instances_per_s=400.0),
    ]

    assert verdicts(summary) == {"W4, 500: instances per second": ("2 ×", "met")}


def test_a_goal_that_is_missed_says_so():
    summary = [line("lemline", "W2", p50_ms=11.0), line("restate", "W2", p50_ms=11.0), line("dbos", "W2", p50_ms=30.0)]

    assert verdicts(summary) == {"W2: p50": ("1 ×", "**missed**")}


def test_continuation_is_compared_with_what_peers_do_by_default():
    summary = [line("lemline", "W2", "auto", p50_ms=5.0), line("restate", "W2", p50_ms=10.0)]

    assert verdicts(summary) == {"W2 with `continuation=auto`: p50": ("0.5 ×", "met")}


def test_sizes_are_compared_with_the_smallest_of_their_sort():
    costs = {"5 tasks": 1.0, "50 tasks": 1.6, "500 tasks": 1.1, "10 open": 1.0, "1000 open": 1.4}
    summary = [line("lemline", "W6", variant, cpu_s_per_1000_steps=cost) for variant, cost in costs.items()]

    reached = verdicts(summary)

    assert reached["W6: cost of a step of longer workflows"] == ("1.6 ×", "**missed**")
    assert reached["W6: cost of a step beside more open instances"] == ("1.4 ×", "met")


def test_a_run_without_peers_says_nothing_about_ratios():
    assert table([line("lemline", "W1", instances_per_s=900.0, cpu_s_per_1000_steps=0.3)]) == ""
