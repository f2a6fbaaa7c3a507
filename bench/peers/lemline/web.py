"""W1x: functions of two pools in turn, many definitions, started over HTTP through gunicorn as `make up` has it."""

import asyncio
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence

from bench.client import Client, each
from bench.driver import Row
from bench.meter import Meter
from bench.peers.lemline.site import Site
from bench.peers.lemline.trial import Trial
from bench.processes import free_port, running
from bench.workloads import Case, result_of

DEFINITIONS = 20
CLIENTS = 64
WARM_UP = 50

_FUNCTIONS = ("bench/step", "bench/io-step")


def measure(site: Site, case: Case, count: int) -> Iterator[Row]:
    """Start instances of the definitions in turn."""
    from workflows.runtime.accounts import create_key
    from workflows.runtime.audit import Actor

    tasks = "".join(
        f"  - step{k}: {{call: {_FUNCTIONS[k % 2]}, with: {{wf: '${{ $workflow.input.wf }}', k: {k}}}}}\n"
        for k in range(case.steps)
    )
    trials = [Trial(site, tasks, lambda number: {"wf": number}) for _ in range(DEFINITIONS)]
    port = free_port()
    command = (sys.executable, "-m", "gunicorn", "--config", "python:lemline_site.web", "lemline_site.wsgi")
    key = create_key("bench", "operator", actor=Actor(name="bench", door="bench", is_admin=True)).text
    with running([command], lambda: _is_ready(port), {"LEMLINE_WEB_PORT": str(port), "PORT": str(port)}) as pids:
        _start(trials, Client(port, key), range(-WARM_UP, 0))
        _wait(trials)
        with Meter({**site.processes, "web": pids}) as meter:
            _start(trials, Client(port, key), range(count))
            started_s = time.monotonic() - meter.started_at
            _wait(trials)
    for index, trial in enumerate(trials):
        mine = sum(number % DEFINITIONS == index for number in range(-WARM_UP, count))
        trial.check(mine, case.steps, lambda wf: result_of(wf, case.steps - 1))
    yield {"start_s": round(started_s, 3), **meter.figures(count, count * case.steps)}


def _start(trials: Sequence[Trial], client: Client, numbers: Sequence[int]) -> None:
    async def start(number: int) -> None:
        await client.ask("POST", f"/api/v1/workflows/bench/{trials[number % DEFINITIONS].name}/run", {"wf": number})

    asyncio.run(each(numbers, start, CLIENTS))


def _wait(trials: Sequence[Trial]) -> None:
    for trial in trials:
        trial.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
