"""Figures in the documentation."""

import pytest

from bench.publish import BEGIN, END, ROOT, replaced, short_table


def line(peer, workload, figure, value, variant="default"):
    return {"peer": peer, "workload": workload, "variant": variant, figure: value}


def test_what_stands_between_the_marks_is_replaced_and_nothing_else():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert replaced(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert replaced(replaced(page, "new"), "new") == replaced(page, "new")


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="has no"):
        replaced("a page", "new")


@pytest.mark.parametrize("page", ["README.md", "docs/performance.md"])
def test_the_pages_have_their_marks(page):
    text = (ROOT / page).read_text("utf-8")

    assert text.count(BEGIN) == text.count(END) == 1


def test_the_fastest_durable_peer_stands_beside_lemline_whether_more_or_less_is_better():
    summary = [
        line("lemline", "W1", "instances_per_s", 900.0),
        line("dbos", "W1", "instances_per_s", 90.0),
        line("restate", "W1", "instances_per_s", 450.0),
        line("celery", "W1", "instances_per_s", 1e6),
        line("lemline", "W2", "p50_ms", 5.0),
        line("dbos", "W2", "p50_ms", 33.0),
        line("restate", "W2", "p50_ms", 11.5),
    ]

    *_, first, second = short_table(summary).splitlines()

    assert "| 900 | 450 (restate) |" in first
    assert "| 5 | 11.5 (restate) |" in second


def test_a_workload_without_a_peer_is_not_in_the_short_table():
    assert len(short_table([line("lemline", "W1", "instances_per_s", 900.0)]).splitlines()) == 2
