"""`make bench`: Lemline beside its peers, alternated in one run, medians of at least three.

Starts PostgreSQL and Redis of its own, both durable, and the stub that HTTP steps ask. Each run is made by a
driver in a process of its own (`bench/peers/`), on an empty database; one with wrong results ends everything.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import report
from bench.install import NotInstalledError, interpreter
from bench.workloads import WORKLOADS, Workload
from lemline_site.services import program
from lemline_site.services.postgresql import postgresql
from lemline_site.services.program import Program
from lemline_site.services.redis import redis

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 600


def main(arguments: Sequence[str]) -> int:
    """Measure what the flags say; returns the exit code."""
    options = _parser().parse_args(arguments)
    rows: list[report.Row] = []
    with _services() as environment:
        for name in options.workload:
            rows += _measured(WORKLOADS[name], options, environment)
    if not rows:
        return 1
    print(f"\n{report.table(report.summary(rows))}\n")
    if not options.quick:
        print(f"written to {report.save(options.results, rows, 'python -m bench ' + ' '.join(arguments))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Lemline beside its peers.")
    parser.add_argument("--workload", type=_names(WORKLOADS), default=list(WORKLOADS), help="W1,W4 (default: all)")
    peers = dict.fromkeys(peer for workload in WORKLOADS.values() for peer in workload.peers)
    parser.add_argument("--peers", type=_names(peers), default=list(peers), help="restate,celery (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--count", type=int, help="instances, instead of the workload's own number")
    parser.add_argument("--quick", action="store_true", help="a first impression in a minute; nothing is written")
    parser.add_argument("--results", type=Path, default=ROOT / "bench/results", help="where to write")
    return parser


def _names(known: "Sequence[str] | dict[str, object]") -> "type[object]":
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return names

    return parse  # type: ignore[return-value]  # argparse takes any callable


def _measured(workload: Workload, options: argparse.Namespace, environment: dict[str, str]) -> Iterator[report.Row]:
    """Run the peers in turn, so that what the machine does beside hits all of them alike."""
    peers = [peer for peer in workload.peers if peer == "lemline" or peer in options.peers]
    count = options.count or (workload.quick if options.quick else workload.count)
    for _ in range(1 if options.quick else options.runs):
        for peer in list(peers):
            try:
                yield _run(peer, workload.name, count, environment)
            except NotInstalledError as error:
                print(error, file=sys.stderr)
                peers.remove(peer)


def _run(peer: str, workload: str, count: int, environment: dict[str, str]) -> report.Row:
    python, more = interpreter(peer, Path(".lemline/bench").resolve())
    done = subprocess.run(
        [python, "-m", f"bench.peers.{peer}", workload, str(count)],
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment, **more},
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise SystemExit(f"{peer} {workload} failed; no figures")
    row: report.Row = json.loads(done.stdout.splitlines()[-1])
    row["load_before"] = os.getloadavg()[0]
    print(
        f"{workload:<4} {peer:<8} {row['instances_per_s']:>8} instances/s {row['steps_per_s']:>9} steps/s"
        f" {row['cpu_s_per_1000_steps']:>7} CPU s/1000 steps, others {row['other_cpu_s']} s",
        flush=True,
    )
    return row


@contextlib.contextmanager
def _services() -> Iterator[dict[str, str]]:
    """Run what the peers share; where it is."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        log = stack.enter_context((folder / "services.log").open("ab"))
        port = program.free_port()
        stub = Program(name="stub", command=(sys.executable, "-m", "bench.stub", str(port)), folder=ROOT)
        database, broker = postgresql(folder / "postgresql"), redis(folder / "redis")
        pids = []
        for each in (database, broker, stub):
            process = program.start(each, log)
            stack.callback(program.stop, each, process)
            program.wait_until_ready(each, process)
            pids.append(str(process.pid))
        yield {
            "BENCH_DATABASE_URL": database.url,
            "BENCH_DATABASE_PID": pids[0],
            "BENCH_REDIS_URL": broker.url.removesuffix("/0"),
            "BENCH_REDIS_PID": pids[1],
            "BENCH_STUB_URL": f"http://127.0.0.1:{port}/",
        }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
