"""Prints how soon events resume those who wait for them, among many who wait for others.

    python -m bench.events [--open 100000] [--rate 200] [--seconds 30] [--batch 1] [--processes 1]

Each event is for one of the open instances, which ends with it. The time is that between two commits, as the server
notes them (`track_commit_timestamp`): of the event, and of the step that it resumed its instance by.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Mapping

import uuid6

from bench import services
from bench.driver import latencies
from bench.meter import Meter, resident_bytes
from bench.peers.lemline.site import Site, opened, rows, wait_for
from bench.peers.lemline.trial import Trial

TASKS = """\
  - hear:
      listen: {to: {one: {with: {type: bench.event}, correlate: {key: {from: .data.key, expect: "${ .wf }"}}}}}
"""
WARM_UP = 200
REST_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Measure once, and print a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.events", description="How soon events resume instances.")
    parser.add_argument("--open", type=int, default=100_000, help="instances that wait")
    parser.add_argument("--rate", type=int, default=200, help="events per second")
    parser.add_argument("--seconds", type=int, default=30, help="how long they come")
    parser.add_argument("--batch", type=int, default=1, help="events accepted together")
    parser.add_argument("--processes", type=int, default=1, help="processes that offer events")
    options = parser.parse_args(arguments)
    with services.running(with_statements=False) as environment:
        os.environ.update(environment)
        with opened(["events"] * options.processes) as site:
            print(json.dumps(measure(site, options)))
    return 0


def measure(site: Site, options: argparse.Namespace) -> Mapping[str, object]:
    """Open the listeners, send the events, and see when each was heard. Raises when one was not."""
    trial = Trial(site, TASKS, lambda number: {"wf": number})
    begun = time.monotonic()
    before = resident_bytes(site.processes["worker"])
    begin(trial, options.open)
    wait_for("SELECT NOT EXISTS (SELECT 1 FROM workflows_lookback)", None, "nobody looked back")
    opening_s = time.monotonic() - begun
    rows("ANALYZE workflows_subscription; ANALYZE workflows_checkpoint; SELECT 1")
    memory = resident_bytes(site.processes["worker"]) - before
    with Meter(site.processes) as rest:
        time.sleep(REST_SECONDS)
    send(range(WARM_UP), options.rate, 1)
    count = options.rate * options.seconds
    with Meter(site.processes) as meter:
        late = send(range(WARM_UP, WARM_UP + count), options.rate, options.batch)
        pending = rows("SELECT count(*) FROM workflows_pendingevent")[0][0]
        wait_for("SELECT NOT EXISTS (SELECT 1 FROM workflows_pendingevent)", None, "not every event was offered")
    waits = heard(trial.definition)
    assert len(waits) == WARM_UP + count, f"{len(waits)} of {WARM_UP + count} were heard"
    return {
        "open": options.open,
        "opening_s": round(opening_s, 1),
        "grown_mib": round(memory / 2**20, 1),
        "idle_cores": {name: round(spent / rest.wall_s, 4) for name, spent in rest.cpu_s.items()},
        "rate": options.rate,
        "batch": options.batch,
        **latencies(waits[WARM_UP:]),
        "sender_late_s": round(late, 3),
        "pending_at_the_end": pending,
        **meter.figures(count, count),
    }


def begin(trial: Trial, count: int) -> None:
    """Start so many instances, in the batches that the stepper makes of them."""
    from workflows.runtime import process
    from workflows.runtime.records import Birth

    runtime, left = process.current(), threading.Semaphore(0)
    for number in range(count):
        birth = Birth(
            instance_id=str(uuid6.uuid7()), definition=trial.definition, namespace="bench", workflow=trial.name,
            version="1.0.0", priority=3, labels="{}", input=trial.input(number), created_at=runtime.clock.now(),
        )  # fmt: skip
        runtime.stepper.begin(birth, lambda _: left.release())
    for _ in range(count):
        left.acquire()


def send(numbers: range, rate: int, batch: int) -> float:
    """Accept events at a rate; by how many seconds the last one was sent too late."""
    from workflows.runtime import events

    began = time.monotonic()
    late = 0.0
    for start in range(0, len(numbers), batch):
        due = began + start / rate
        late = time.monotonic() - due
        if late < 0:
            time.sleep(-late)
        some = [
            {
                "specversion": "1.0", "id": str(number), "source": f"/bench/{number % 500}", "type": "bench.event",
                "data": {"key": number},
            }
            for number in numbers[start : start + batch]
        ]  # fmt: skip
        events.receive(some, namespace="bench", by="bench")
    return max(0.0, late)


def heard(definition: int) -> list[float]:
    """Return the seconds from each event's commit to that of the step that took it, in the order of the events."""
    accepted = {
        int(str(key)): at
        for key, at in rows("SELECT event_id, pg_xact_commit_timestamp(xmin) FROM workflows_receivedevent")
    }
    ended = rows(
        "SELECT input, pg_xact_commit_timestamp(xmin) FROM workflows_instance WHERE definition_id = %s"
        " AND status = 'completed'",
        (definition,),
    )
    waits = {json.loads(bytes(given))["wf"]: at for given, at in ended}  # type: ignore[arg-type]
    return [(waits[number] - accepted[number]).total_seconds() for number in sorted(waits)]  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
