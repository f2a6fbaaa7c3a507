"""W2: one instance at a time."""

import time
from collections.abc import Iterator

from bench.driver import Row, latencies
from bench.meter import Meter
from bench.peers.lemline.sequence import CALL
from bench.peers.lemline.site import Site
from bench.peers.lemline.trial import Trial
from bench.workloads import Case, result_of

WARM_UP = 5


def measure(site: Site, case: Case, count: int) -> Iterator[Row]:
    """Time each from its start until a caller has seen how it ended."""
    tasks = "".join(CALL % (step, step) for step in range(case.steps))
    trial = Trial(site, tasks, lambda number: {"wf": number})
    for number in range(-WARM_UP, 0):
        trial.run(number)
    seconds = []
    with Meter(site.processes) as meter:
        for number in range(count):
            began = time.perf_counter()
            status = trial.run(number)
            seconds.append(time.perf_counter() - began)
            assert status == "completed", f"an instance is {status}"
    trial.check(WARM_UP + count, case.steps, lambda wf: result_of(wf, case.steps - 1))
    yield {**latencies(seconds), **meter.figures(count, count * case.steps)}
