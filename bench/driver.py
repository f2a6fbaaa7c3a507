"""What every driver does: read what is wanted, measure it, print rows."""

import json
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from bench.workloads import WORKLOADS, Case, Workload

Row = dict[str, Any]
Measure = Callable[[Case, int], Iterable[Row]]
"""Measures so many instances of a case; a row per measurement. Raises when anything is wrong: no figure then."""

PREFIX = "row: "


def drive(peer: str, opened: Callable[[Workload], AbstractContextManager[Measure]], arguments: Sequence[str]) -> int:
    """Measure `WORKLOAD VARIANT=COUNT ...`, on workers that are started once for all of them."""
    end_in_order()
    name, *wanted = arguments
    with opened(WORKLOADS[name]) as measure:
        for each in wanted:
            variant, _, count = each.rpartition("=")
            case = WORKLOADS[name].cases[variant]
            for row in measure(case, int(count)):
                full = {"peer": peer, "workload": name, "variant": variant, **row, "checks": "ok"}
                print(PREFIX + json.dumps(full), flush=True)
    return 0


def end_in_order() -> None:
    """Have SIGTERM leave every block, so that nothing that was started stays behind."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def rows(output: str) -> list[Row]:
    """Return the rows that a driver printed."""
    return [json.loads(line.removeprefix(PREFIX)) for line in output.splitlines() if line.startswith(PREFIX)]


def latencies(seconds: Iterable[float]) -> Row:
    """Return the percentiles of durations, in milliseconds."""
    ordered = sorted(seconds)

    def percentile(share: float) -> float:
        return round(ordered[round(share * (len(ordered) - 1))] * 1000, 2)

    return {"p50_ms": percentile(0.5), "p95_ms": percentile(0.95), "max_ms": percentile(1)}
