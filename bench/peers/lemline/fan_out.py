"""W3 and W7: a parallel `for` around a trivial call."""

from collections.abc import Iterator

from bench.driver import Row
from bench.meter import Meter
from bench.peers.lemline.site import Site
from bench.peers.lemline.trial import Trial
from bench.workloads import Case, result_of

_TASKS = """\
  - all:
      for: {in: '${ .items }', parallel: true}
      do: [{item: {call: bench/step, with: {wf: '${ $item }', k: 0}}}]
"""
WARM_UP = 100
"""Items of one fan-out."""


def measure(site: Site, case: Case, count: int) -> Iterator[Row]:
    """Start fan-outs, all at once, and wait for their joins.

    Items of one instance that end together may share a transaction, unlike steps that follow each other: none of
    them begins because of another's result. Each is recorded once all the same, and its result has its place.
    """
    _run(site, 1, WARM_UP)
    meter = _run(site, count, case.options["items"])
    yield {**meter.figures(count, count * case.options["items"]), "items": case.options["items"]}


def _run(site: Site, count: int, items: int) -> Meter:
    trial = Trial(site, _TASKS, lambda number: {"wf": number, "items": list(range(items))})
    with Meter(site.processes) as meter:
        trial.start_all(range(count))
        trial.wait()
    trial.check(count, items, lambda _: [result_of(item, 0) for item in range(items)], apart=False)
    return meter
