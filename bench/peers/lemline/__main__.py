"""The driver: which measurement serves a workload, and which processes it needs."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator

from bench.driver import Measure, Row, drive
from bench.peers.lemline import fan_out, growing, idle, sequence, timers, web
from bench.peers.lemline.site import Site, opened
from bench.workloads import Case, Workload

PROCESSES = 2
"""Of the pool that works: one per core."""

_COMPUTE = ("maintenance", *["compute"] * PROCESSES)
_HTTP = ("maintenance", *["http"] * PROCESSES)
_TIMERS = ("maintenance", "compute")
_Measure = Callable[[Site, Case, int], Iterator[Row]]

_WORK: dict[str, tuple[_Measure, tuple[str, ...]]] = {
    "W1": (sequence.calls, _COMPUTE),
    "W1p": (sequence.sets, _COMPUTE),
    "W1x": (web.measure, ("maintenance", "compute", "io")),
    "W2": (idle.measure, _COMPUTE),
    "W3": (fan_out.measure, _COMPUTE),
    "W4": (sequence.gets, _HTTP),
    "W5": (timers.naps, _TIMERS),
    "W6": (growing.beside_open_ones, _COMPUTE),
    "W7": (fan_out.measure, _COMPUTE),
    "W8": (timers.waiting_ones, _TIMERS),
    "W9": (sequence.large_results, _COMPUTE),
    "growth": (growing.on_grown_tables, _COMPUTE),
}


@contextlib.contextmanager
def _opened(workload: Workload) -> Iterator[Measure]:
    measure, roles = _WORK[workload.name]
    with opened(roles) as site:
        yield functools.partial(measure, site)


if __name__ == "__main__":
    sys.exit(drive("lemline", _opened, sys.argv[1:]))
