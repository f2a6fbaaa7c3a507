"""W5 and W8: waits, and how late they end.

A wait has ended when its transaction is committed: the server notes when that was (`track_commit_timestamp`). So
what it cost to write is part of the lateness.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bench.driver import Row, latencies
from bench.meter import Meter, resident_bytes
from bench.peers.lemline import waiting
from bench.peers.lemline.site import Site, rows, wait_for
from bench.peers.lemline.trial import Trial
from bench.workloads import NAP_SECONDS, Case

WARM_UP = 50
LEAD_SECONDS = 3
"""From the moment in which timers are set nearer until the first is due."""


def naps(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W5: start them all, and see how late each ends."""
    nap = f"  - nap: {{wait: {{milliseconds: {int(NAP_SECONDS * 1000)}}}}}\n"
    trial = Trial(site, nap, lambda number: {"wf": number})
    trial.start_all(range(-WARM_UP, 0))
    trial.wait()
    with Meter(site.processes) as meter:
        trial.start_all(range(count))
        started_s = time.monotonic() - meter.started_at
        trial.wait()
    trial.check(WARM_UP + count, 1, lambda wf: {"wf": wf})
    waits = _waits(trial)[WARM_UP:]
    due = {instance: started_at + timedelta(seconds=NAP_SECONDS) for instance, started_at, _, _ in waits}
    lateness = _lateness(waits, due)
    assert len(lateness) == count, "a wait is missing"
    yield {"start_s": round(started_s, 3), **latencies(lateness), **meter.figures(count, count)}


def waiting_ones(site: Site, case: Case, count: int) -> Iterator[Row]:
    """W8: what many waiting instances cost while nothing happens; then how late they end when some become due."""
    trial = Trial(site, waiting.NAP, lambda number: {"wf": number})
    waiting.multiply(trial, count)
    before = resident_bytes(site.processes["worker"])
    with Meter(site.processes) as rest:
        time.sleep(case.options["seconds"])
    due = min(count, case.options["rate"] * case.options["seconds"])
    times = waiting.hurry(trial, count=due, rate=case.options["rate"], after_seconds=LEAD_SECONDS)
    with Meter(site.processes) as meter:
        wait_for(_ENDED, None, "not every timer fired")
    lateness = _lateness(_waits(trial), times)
    assert len(lateness) == due, "a timer is missing, or fired twice"
    [(left,)] = rows("SELECT count(*) FROM workflows_checkpoint WHERE definition = %s", (trial.definition,))
    assert left == count - due, "a checkpoint is left over or lost"
    yield {
        "waiting": count,
        "idle_worker_cores": round(rest.cpu_s["worker"] / rest.wall_s, 4),
        "idle_database_cores": round(rest.cpu_s["database"] / rest.wall_s, 4),
        "rss_growth_mib": round((resident_bytes(site.processes["worker"]) - before) / 2**20, 1),
        **latencies(lateness),
        **meter.figures(due, due),
    }


_ENDED = "SELECT NOT EXISTS (SELECT 1 FROM workflows_checkpoint WHERE due_at < now() + interval '1 day')"

_Wait = tuple[str, datetime, datetime, datetime]
"""Instance, begin, end as the engine knows it, commit."""


def _waits(trial: Trial) -> list[_Wait]:
    """Return the waits that ended, in the order of the instances' ids."""
    found: list[Any] = rows(
        "SELECT h.instance::text, h.started_at, h.ended_at, pg_xact_commit_timestamp(h.xmin) FROM workflows_history h"
        " JOIN workflows_instance i ON i.id = h.instance"
        " WHERE i.definition_id = %s AND h.kind = 'wait' AND h.status = 'completed' ORDER BY h.instance",
        (trial.definition,),
    )
    return found


def _lateness(waits: Sequence[_Wait], due: Mapping[str, datetime]) -> list[float]:
    """Return by how many seconds each was late; AssertionError when one ended early, KeyError when it was not due."""
    assert all(ended_at >= due[instance] for instance, _, ended_at, _ in waits), "a timer fired early"
    return [(committed_at - due[instance]).total_seconds() for instance, _, _, committed_at in waits]
