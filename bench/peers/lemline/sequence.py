"""Sequences of steps, many instances at once: calls, `set` tasks, GETs, calls with large results."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.driver import Row
from bench.meter import Meter
from bench.peers.lemline import statements
from bench.peers.lemline.site import Site
from bench.peers.lemline.trial import Trial
from bench.workloads import Case, result_of

WARM_UP = 50

CALL = "  - step%d: {call: bench/step, with: {wf: '${ $workflow.input.wf }', k: %d}}\n"
_SET = "  - step%d: {set: {wf: '${ .wf }', step: %d, ok: true}}\n"
_GET = "  - step%d: {call: http, with: {method: get, endpoint: '${ $workflow.input.url }'}}  # %d\n"
_LARGE = "  - step%d: {call: bench/large, with: {wf: '${ .wf }', k: %d, size: SIZE}}\n"


def calls(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W1."""
    yield _measured(site, CALL, case.steps, count, lambda wf: result_of(wf, case.steps - 1))


def sets(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W1p. Its steps do nothing outside, so that all of them are one transaction."""
    yield _measured(
        site, _SET, case.steps, count, lambda wf: {"wf": wf, "step": case.steps - 1, "ok": True}, apart=False
    )


def gets(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W4."""
    yield _measured(site, _GET, case.steps, count, lambda _: {"ok": True, "value": 42})


def large_results(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W9. Each step's result is the next one's input, and so part of the state."""
    from bench.steps import large

    size = case.options["size"]
    last = json.loads(json.dumps(large(0, case.steps - 1, size)))
    row = _measured(site, _LARGE.replace("SIZE", str(size)), case.steps, count, lambda wf: {**last, "wf": wf})
    yield {**row, "size": size}


def _measured(
    site: Site, task: str, steps: int, count: int, expected: Callable[[int], Any], *, apart: bool = True
) -> Row:
    url = os.environ["BENCH_STUB_URL"]
    trial = Trial(
        site, "".join(task % (step, step) for step in range(steps)), lambda number: {"wf": number, "url": url}
    )
    warm_up = min(WARM_UP, count)
    trial.start_all(range(-warm_up, 0))
    trial.wait()
    with statements.counted() as counts, Meter(site.processes) as meter:
        trial.start_all(range(count))
        started_s = time.monotonic() - meter.started_at
        trial.wait()
    trial.check(warm_up + count, steps, expected, apart=apart)
    return {"start_s": round(started_s, 3), **meter.figures(count, count * steps), **counts.figures(count * steps)}
