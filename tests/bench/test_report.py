"""From runs to figures."""

import pytest

from bench.driver import PREFIX, latencies, rows
from bench.peers.lemline.statements import merged, normalised
from bench.report import growth, is_doubtful, ratio, summary, tables


def run(peer="lemline", workload="W1", variant="default", **figures):
    return {
        "peer": peer, "workload": workload, "variant": variant, "instances": 10, "wall_s": 1.0, "other_cpu_s": 0.0,
        "checks": "ok", **figures,
    }  # fmt: skip


def test_a_summary_holds_the_medians_of_each_peer_and_variant():
    runs = [run(instances_per_s=value) for value in (3.0, 1.0, 2.0)] + [run("celery", instances_per_s=7.0)]

    ours, theirs = summary(runs)

    assert (ours["peer"], ours["runs"], ours["instances_per_s"]) == ("lemline", 3, 2.0)
    assert (theirs["peer"], theirs["runs"], theirs["instances_per_s"]) == ("celery", 1, 7.0)


def test_a_figure_that_one_run_lacks_is_absent():
    [line] = summary([run(p50_ms=1.0), run()])

    assert "p50_ms" not in line


def test_a_run_is_doubtful_when_others_used_more_than_a_quarter_of_a_core():
    quiet, busy = run(other_cpu_s=0.2), run(other_cpu_s=0.3)

    assert (is_doubtful(quiet), is_doubtful(busy)) == (False, True)
    assert summary([quiet, busy])[0]["doubtful"] == 1


@pytest.mark.parametrize(
    ("workload", "figure", "ours", "theirs"),
    [("W1", "instances_per_s", 200, 100), ("W2", "p50_ms", 5, 10), ("W3", "wall_s", 1, 2), ("W5", "p95_ms", 10, 20)],
)
def test_twice_as_good_is_two_whether_more_or_less_is_better(workload, figure, ours, theirs):
    lines = summary([run(workload=workload, **{figure: ours}), run("restate", workload, **{figure: theirs})])

    assert [ratio(line, lines) for line in lines] == [None, 2.0]


def test_a_peer_is_compared_with_the_same_variant_only():
    lines = summary([run(variant="auto", instances_per_s=9.0), run("restate", instances_per_s=3.0)])

    assert ratio(lines[1], lines) is None


def test_a_size_is_compared_with_the_smallest_of_its_sort():
    costs = {"10 open": 1.0, "1000 open": 1.5, "5 tasks": 3.0, "50 tasks": 1.5}
    lines = summary([run(workload="W6", variant=name, cpu_s_per_1000_steps=cost) for name, cost in costs.items()])

    assert [growth(line, lines, "cpu_s_per_1000_steps") for line in lines] == [1.0, 1.5, 1.0, 0.5]


def test_a_table_has_the_columns_that_its_workload_has():
    lines = summary([run(workload="W2", p50_ms=5.25, instances_per_s=1.0, steps_per_s=5.0)])

    text = tables(lines, {"W2": "one at a time"})

    assert text.startswith("**W2**: one at a time")
    assert "p50 ms" in text
    assert "cores at rest" not in text


def test_rows_are_found_among_what_else_a_driver_prints():
    output = f'worker: Warm shutdown\n{PREFIX}{{"peer": "lemline"}}\n{{"peer": "nobody"}}\n'

    assert rows(output) == [{"peer": "lemline"}]


def test_percentiles_are_values_that_were_measured():
    figures = latencies(value / 1000 for value in range(101, 0, -1))

    assert figures == {"p50_ms": 51, "p95_ms": 96, "max_ms": 101}


def test_statements_that_differ_in_the_number_of_their_rows_are_one():
    one = "INSERT INTO t (a, b) VALUES ($1, $2)"
    three = "INSERT INTO t (a, b)\n VALUES ($1, $2), ($3, now($4)),($5, $6)"

    [(kind, calls, count, milliseconds)] = merged([(one, 2, 2, 1.0), (three, 1, 3, 0.5)])

    assert kind == "INSERT INTO t (a, b) VALUES (…), …"
    assert (calls, count, milliseconds) == (3, 5, 1.5)


def test_values_in_a_list_of_rows_keep_what_follows_them():
    text = "UPDATE c SET a = v.a FROM (VALUES ($1::uuid, $2), ($3, $4)) v(id, a) WHERE c.id = v.id AND c.b = $5"

    assert normalised(text) == "UPDATE c SET a = v.a FROM (VALUES (…), …) v(id, a) WHERE c.id = v.id AND c.b = $"


def test_statements_that_differ_in_the_length_of_an_array_are_one():
    assert normalised("DELETE FROM t WHERE id = ANY(ARRAY[$1,$2]::uuid[])") == normalised(
        "DELETE FROM t WHERE id = ANY(ARRAY[$1]::uuid[])"
    )
