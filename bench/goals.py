"""What Lemline wants to reach beside the fastest durable peer, and what it did in a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import ge, le
from typing import Any

from bench.report import text_of

Row = dict[str, Any]

DURABLE = ("celery-commit", "dbos", "restate")


@dataclass(frozen=True)
class Figures:
    """The medians of a run."""

    summary: Sequence[Row]

    def ours(self, workload: str, variant: str, figure: str) -> float:
        """Return a figure of Lemline; KeyError when the run has none."""
        return self._of(("lemline",), workload, variant, figure)[0]

    def best(self, workload: str, variant: str, figure: str, choose: Callable[[list[float]], float]) -> float:
        """Return a figure of the best durable peer; KeyError when the run has none."""
        return choose(self._of(DURABLE, workload, variant, figure))

    def spread(self, workload: str, sort: str, figure: str) -> float:
        """Return how many times a figure of the sizes of one sort is, at worst, that of the smallest."""
        found = [
            line[figure]
            for line in self.summary
            if line["workload"] == workload and line["variant"].endswith(sort) and line["peer"] == "lemline"
        ]
        if len(found) < 2 or not found[0]:
            raise KeyError(workload)
        return float(max(found) / found[0])

    def _of(self, peers: Sequence[str], workload: str, variant: str, figure: str) -> list[float]:
        found = [
            line[figure]
            for line in self.summary
            if (line["workload"], line["variant"]) == (workload, variant) and line["peer"] in peers and figure in line
        ]
        if not found:
            raise KeyError(workload)
        return found


@dataclass(frozen=True)
class Goal:
    """One of them."""

    text: str
    reached: Callable[[Figures], float]
    holds: Callable[[float, float], bool]
    limit: float
    unit: str = " ×"


def _throughput(workload: str, variant: str) -> Callable[[Figures], float]:
    return lambda run: (
        run.ours(workload, variant, "instances_per_s") / run.best(workload, variant, "instances_per_s", max)
    )


def _time(workload: str, figure: str, variant: str = "default") -> Callable[[Figures], float]:
    """Variants of Lemline alone are compared with the peers' default."""
    return lambda run: run.ours(workload, variant, figure) / run.best(workload, "default", figure, min)


def _cost(workload: str, sort: str) -> Callable[[Figures], float]:
    return lambda run: run.spread(workload, sort, "cpu_s_per_1000_steps")


def _cost_by_size(run: Figures) -> float:
    """Above ten times the cost for ten times the size it would be worse than linear."""
    return max(
        run.ours("W9", large, "cpu_s_per_1000_steps") / run.ours("W9", small, "cpu_s_per_1000_steps")
        for small, large in (("1 kB", "10 kB"), ("10 kB", "100 kB"), ("100 kB", "1000 kB"))
    )


GOALS = (
    Goal("W1: instances per second", _throughput("W1", "default"), ge, 2),
    Goal("W1: processor time per step, beside the least", _time("W1", "cpu_s_per_1000_steps"), le, 1),
    Goal(
        "W1p: instances per second, beside W1 of the fastest",
        lambda run: run.ours("W1p", "default", "instances_per_s") / run.best("W1", "default", "instances_per_s", max),
        ge,
        10,
    ),
    Goal("W2: p50", _time("W2", "p50_ms"), le, 0.9),
    Goal("W2 with `continuation=auto`: p50", _time("W2", "p50_ms", "auto"), le, 0.6),
    Goal("W3: time", _time("W3", "wall_s"), le, 0.5),
    Goal("W4, 500: instances per second", _throughput("W4", "500"), ge, 1.5),
    Goal("W4, 2000: instances per second", _throughput("W4", "2000"), ge, 1.5),
    Goal("W5: time to start all", _time("W5", "start_s"), le, 1),
    Goal("W5: p95 of lateness", lambda run: run.ours("W5", "default", "p95_ms"), le, 35, " ms"),
    Goal("W6: cost of a step beside more open instances", _cost("W6", "open"), le, 1.5),
    Goal("W6: cost of a step of longer workflows", _cost("W6", "tasks"), le, 1.5),
    Goal("W7: cost of an item of wider fan-outs", _cost("W7", "items"), le, 2),
    Goal("W8: workers at rest", lambda run: run.ours("W8", "default", "idle_worker_cores"), le, 0.02, " cores"),
    Goal("W8: p95 of lateness", lambda run: run.ours("W8", "default", "p95_ms"), le, 35, " ms"),
    Goal("W9: cost of a step for ten times the state, at worst", _cost_by_size, le, 10),
    Goal(
        "growth: time of a step on grown tables",
        lambda run: (
            run.ours("growth", "empty tables", "steps_per_s") / run.ours("growth", "grown tables", "steps_per_s")
        ),
        le,
        1.2,
    ),
)


def table(summary: Sequence[Row]) -> str:
    """Return the goals that a run says something about, as Markdown; empty when there is none."""
    rows = [row for goal in GOALS if (row := _row(goal, Figures(summary)))]
    if not rows:
        return ""
    return "\n".join(
        ["| Lemline beside the fastest durable peer | goal | reached | |", "| --- | --- | --- | --- |", *rows]
    )


def _row(goal: Goal, run: Figures) -> str:
    try:
        value = goal.reached(run)
    except KeyError:
        return ""
    sign = "≥" if goal.holds is ge else "≤"
    verdict = "met" if goal.holds(value, goal.limit) else "**missed**"
    return f"| {goal.text} | {sign} {goal.limit:g}{goal.unit} | {text_of(value)}{goal.unit} | {verdict} |"
