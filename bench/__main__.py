"""`make bench`: Lemline beside its peers, alternated in one run, medians of at least three.

Each run is made by a driver in a process of its own (`bench/peers/`), on empty tables; one with wrong results ends
everything, without a figure.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import chart, driver, goals, machine, report, services
from bench.install import NotInstalledError, interpreter
from bench.workloads import EVERYBODY, WORKLOADS, Case, Workload
from lemline_site.config import keys
from lemline_site.services import program
from lemline_site.services.program import Program

ROOT = services.ROOT
TIMEOUT_SECONDS = 900

Environment = Mapping[str, str]


def main(arguments: Sequence[str]) -> int:
    """Measure what the flags say; returns the exit code."""
    options = _parser().parse_args(arguments)
    driver.end_in_order()
    rows: list[report.Row] = []
    with services.running(with_statements=options.statements) as found:
        instances = options.instances or (10_000 if options.quick else 1_000_000)
        grown = {"BENCH_GROWN_INSTANCES": str(instances), "BENCH_GROWN_HISTORY": str(options.history or 10 * instances)}
        about = machine.description(found)
        for name in options.workload:
            rows += _measured(WORKLOADS[name], options, {**found, **grown})
    if not rows:
        return 1
    tables = report.tables(report.summary(rows), {name: each.title for name, each in WORKLOADS.items()})
    print(f"\n{tables}\n\n{goals.table(report.summary(rows))}\n")
    if options.statements:
        print(f"{report.statements(rows)}\n")
    if not options.quick:
        _save(options, rows, "python -m bench " + " ".join(arguments), about)
    return 0


def _save(options: argparse.Namespace, rows: Sequence[report.Row], command: str, about: report.Row) -> None:
    """Write the result file and the chart; a part never replaces the whole."""
    part = "" if options.workload == list(WORKLOADS) else "-" + "-".join(options.workload)
    path = options.results / f"{datetime.now(UTC):%Y-%m-%d}{part}.json"
    report.save(path, rows, command, about)
    path.with_suffix(".svg").write_text(chart.chart(report.summary(rows)), "utf-8")
    print(f"written to {path}; into the documentation with: python -m bench.publish {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Lemline beside its peers.")
    parser.add_argument("--workload", type=_names(WORKLOADS), default=list(WORKLOADS), help="W1,W4 (default: all)")
    parser.add_argument("--peers", type=_names(EVERYBODY), default=EVERYBODY, help="restate,celery (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--count", type=int, help="instances, instead of the workload's own number")
    parser.add_argument("--quick", action="store_true", help="a first impression in a minute; nothing is written")
    parser.add_argument("--results", type=Path, default=ROOT / "bench/results", help="where to write")
    parser.add_argument("--statements", action="store_true", help="count what the database is asked meanwhile")
    parser.add_argument("--instances", type=int, help="of the grown tables (default: 1,000,000; quick: 10,000)")
    parser.add_argument("--history", type=int, help="rows of the grown tables (default: ten per instance)")
    return parser


def _names(known: Iterable[str]) -> "type[object]":
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return names

    return parse  # type: ignore[return-value]  # argparse takes any callable


def _measured(workload: Workload, options: argparse.Namespace, environment: Environment) -> Iterator[report.Row]:
    """Run the peers in turn, so that what the machine does beside hits all of them alike."""
    turns = list(_turns(workload, options))
    for _ in range(1 if options.quick else options.runs):
        for turn in list(turns):
            peer, cases = turn
            try:
                for row in _run(peer, workload, cases, options, environment):
                    print(report.line(row), flush=True)
                    yield row
            except NotInstalledError as error:
                print(error, file=sys.stderr)
                turns.remove(turn)


def _turns(workload: Workload, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Case]]]:
    """Yield peers with the cases that one driver measures: those with the same environment."""
    for peer in EVERYBODY:
        known = {
            variant: case
            for variant, case in workload.cases.items()
            if peer in case.peers and _is_known(case) and (peer == "lemline" or peer in options.peers)
        }
        for environment in dict.fromkeys(tuple(case.environment.items()) for case in known.values()):
            yield peer, {name: case for name, case in known.items() if tuple(case.environment.items()) == environment}


def _is_known(case: Case) -> bool:
    """Return whether the configuration has the keys that a case sets."""
    known = {key.variable for key in keys.KEYS.values()}
    return all(name in known for name in case.environment if name.startswith("LEMLINE_"))


def _run(
    peer: str, workload: Workload, cases: Mapping[str, Case], options: argparse.Namespace, environment: Environment
) -> Iterator[report.Row]:
    python, more = interpreter(peer, Path(".lemline/bench").resolve())
    load = os.getloadavg()[0]
    wanted = [
        f"{name}={options.count or case.count_for(peer, quick=options.quick)}"
        for name, case in cases.items()
        for _ in range(1 if options.quick else case.repeat)
    ]
    measuring = Program(
        name=peer,
        command=(python, "-m", f"bench.peers.{peer.replace('-', '_')}", workload.name, *wanted),
        environment={**environment, **more, **next(iter(cases.values())).environment},
        folder=ROOT,
    )
    process = program.start(measuring, subprocess.PIPE)
    try:
        output = process.communicate(timeout=TIMEOUT_SECONDS)[0].decode(errors="replace")
    finally:
        # Time enough to end what it started; whatever is left then is killed.
        program.stop(measuring, process, grace_seconds=60)
    if process.returncode:
        print(output, file=sys.stderr)
        raise SystemExit(f"{peer} {workload.name} failed; no figures")
    for row in driver.rows(output):
        yield {**row, "load_before": load}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
