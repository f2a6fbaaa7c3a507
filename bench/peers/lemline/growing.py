"""W6 and growth: W1 beside much that is there already."""

import os
from collections.abc import Iterator

from bench import growth
from bench.driver import Row
from bench.peers.lemline import sequence, waiting
from bench.peers.lemline.site import Site, rows
from bench.workloads import Case


def beside_open_ones(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W6: W1 with other instances open, or with more steps in each."""
    if "open" in case.options:
        waiting.have_open(site, case.options["open"])
    yield from sequence.calls(site, case, count)


def on_grown_tables(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W1 on tables with ended instances and their history; filled once, and kept for the runs to come."""
    if "grown" in case.options:
        instances, history = int(os.environ["BENCH_GROWN_INSTANCES"]), int(os.environ["BENCH_GROWN_HISTORY"])
        if not rows("SELECT 1 FROM workflows_instance WHERE namespace = %s LIMIT 1", (growth.NAMESPACE,)):
            growth.grow(instances, history)
    for row in sequence.calls(site, case, count):
        yield {**row, "history_rows": rows("SELECT count(*) FROM workflows_history")[0][0]}
