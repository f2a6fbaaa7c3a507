"""An installation of real processes, each of which a test may kill, stop and start again.

What it stores is read by the test itself: the installation's database is the test process's default one.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from lemline_site.services.program import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until
from workflows import models
from workflows.models import FINAL_STATUSES

LEFT_UNDONE = 0
"""In place of a signal: the process lives, and what it was about to do does not happen."""

UNAVAILABLE = (429, 502, 503, 504)
"""Answers that ask for another try."""

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 2
KEY = "crash-tests-own-key-of-the-api"
NAMESPACE = "crash"

Commands = Mapping[str, Sequence[str]]

WORKERS = ("http", "compute", "maintenance")
WEB = ("-m", "gunicorn", "--config", "python:lemline_site.web", "lemline_site.wsgi")
SERVED: Commands = {
    "web": WEB,
    "http": ("manage.py", "lemline", "worker", "--roles", "http"),
    "compute": ("manage.py", "lemline", "worker", "--roles", "compute,io"),
    "maintenance": ("manage.py", "lemline", "worker", "--roles", "maintenance"),
}
"""A process per role, as `make up` has it."""

DEV: Commands = {"web": ("manage.py", "lemline", "dev")}
"""Everything in one process."""


@dataclass(frozen=True)
class Ending:
    """What is left of an instance."""

    status: str
    output: Any
    history: list[tuple[object, ...]]
    """Position, status, attempt and iteration of each run of a task, sorted: branches end in any order."""


@dataclass
class _Process:
    """One of the installation's processes, and the file it writes to."""

    command: Sequence[str]
    log: Path
    running: "subprocess.Popen[bytes] | None" = None
    is_wanted: bool = True


@dataclass
class Installation:
    """Its processes; whatever dies is started again while a test waits for something, as a supervisor would."""

    folder: Path
    environment: Mapping[str, str]
    commands: Commands
    port: int = field(default_factory=free_port)
    _processes: dict[str, _Process] = field(default_factory=dict)

    def open(self) -> None:
        """Start everything; returns when it serves."""
        (self.folder / "faults").mkdir()
        for name, command in self.commands.items():
            self._processes[name] = _Process(command, self.folder / f"{name}.log")
        self.wait_until_serving()

    def close(self) -> None:
        """Leave nothing running."""
        for name in self._processes:
            self.kill(name)

    def pid(self, name: str) -> int:
        """Return the id of a process that runs."""
        running = self._processes[name].running
        assert running is not None, f"{name} does not run"
        return running.pid

    def node(self, name: str) -> models.Node:
        """Return what a process reported last."""
        return models.Node.objects.get(name__endswith=f"/{self.pid(name)}")

    def is_stopped(self, name: str) -> bool:
        """Return whether a process sleeps by SIGSTOP."""
        return Path(f"/proc/{self.pid(name)}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def send(self, name: str, number: int) -> None:
        """Send one process a signal, not its children."""
        os.kill(self.pid(name), number)

    def send_all(self, name: str, number: int) -> None:
        """Send a process and its children a signal."""
        os.killpg(self.pid(name), number)

    @property
    def names(self) -> list[str]:
        """All processes."""
        return sorted(self._processes)

    def kill(self, *names: str) -> None:
        """Kill processes at once and stay without them until `revive`."""
        for name in names:
            self._processes[name].is_wanted = False
            if running := self._processes[name].running:
                running.kill()
        for name in names:
            self._bury(self._processes[name])

    def revive(self, *names: str) -> None:
        """Have what was killed started again."""
        for name in names or self._processes:
            self._processes[name].is_wanted = True
        self.look_after()

    def restart(self, name: str) -> None:
        """Stop a process in order, as a rolling restart does, and start its successor."""
        process = self._processes[name]
        process.is_wanted = False
        self.send(name, signal.SIGTERM)
        assert process.running is not None
        process.running.wait(60)
        self._bury(process)
        self.revive(name)

    @contextlib.contextmanager
    def another(self, name: str, new: str) -> Iterator[None]:
        """Run one more process of a sort for the length of a block."""
        new = f"{name}-{new}"
        self._processes[new] = _Process(self.commands[name], self.folder / f"{new}.log")
        try:
            self.wait_until_serving()
            yield
        finally:
            self.kill(new)
            del self._processes[new]

    def run(self, *arguments: str) -> None:
        """Run a program in the environment of the processes, to its end."""
        with (self.folder / "run.log").open("ab") as log:
            subprocess.run(
                [sys.executable, *arguments], cwd=ROOT, env={**self.environment, **self._own("run")}, check=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=200,
            )  # fmt: skip

    def look_after(self) -> None:
        """Start whatever has died."""
        for name, process in self._processes.items():
            if process.running is not None and process.running.poll() is not None:
                self._bury(process)
            if process.running is None and process.is_wanted:
                self._start(name, process)

    def wait(
        self,
        condition: Callable[[], object],
        seen: Callable[[], object] = lambda: "nothing",
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Return once a condition holds; meanwhile whatever dies is started again."""

        def look() -> object:
            self.look_after()
            return condition()

        wait_until(look, seen, seconds)

    def wait_until_serving(self) -> None:
        """Return once every process that is wanted runs and takes work."""
        self.wait(lambda: all(map(self._serves, self._processes)), lambda: self.logs())

    def arm(self, place: str, role: str, instance: str, *, passages: int = 0, number: int = signal.SIGKILL) -> None:
        """Have the process that reaches a place with this instance signal itself, after so many passages.

        Args:
            instance: Its id, or `any` for whichever comes first.
            number: The signal, or `LEFT_UNDONE`.
        """
        (self.folder / "faults" / f"{role}.{place}.{instance}").write_text(f"{passages} {int(number)}")

    def disarm(self) -> None:
        """Forget what has not happened yet."""
        for path in (self.folder / "faults").iterdir():
            path.unlink(missing_ok=True)

    def claims(self) -> list[tuple[str, str, int]]:
        """Return instance, wait and ring of every claim that was ever given."""
        lines = (line.split() for line in (self.folder / "claims").read_text().splitlines())
        return [(instance, wait, int(ring)) for instance, wait, ring in lines]

    def set_clock(self, name: str, seconds: float) -> None:
        """Let the wall clock of a process, and of its successors, be wrong by so much."""
        (self.folder / f"clock.{name}").write_text(str(seconds))

    def armed(self) -> list[str]:
        """Return what has not happened yet."""
        return sorted(path.name for path in (self.folder / "faults").iterdir())

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
        """Ask the API. OSError when it cannot be reached, dies meanwhile or asks for another try."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except (http.client.HTTPException, ValueError) as error:
            raise ConnectionError(f"{method} {path} was cut off") from error
        except urllib.error.HTTPError as error:
            with error:
                if error.code in UNAVAILABLE:
                    raise ConnectionError(f"{method} {path}: {error.code}") from error
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def register(self, name: str, tasks: Sequence[Mapping[str, Any]], **more: Any) -> None:
        """Register a definition of the tests' namespace."""
        document = {"dsl": "1.0.3", "namespace": NAMESPACE, "name": name, "version": "1.0.0"}
        body = {"document": document, **more, "do": list(tasks)}
        self.wait(partial(self._done, "POST", "/workflows?force=true", body))

    def start(self, name: str, given: object, instance: str = "") -> str:
        """Start an instance, asking again where the server dies meanwhile: a chosen id is its own key. Its id."""
        instance = instance or str(uuid4())
        self.wait(partial(self._posted, name, given, instance))
        return instance

    def post(self, name: str, given: object, instance: str) -> str:
        """The same from a thread beside the test's, which looks after the processes."""
        wait_until(partial(self._posted, name, given, instance))
        return instance

    def await_end(self, *instances: str) -> list[Ending]:
        """Return what is left of instances, once all have ended and nothing of them is open."""
        wanted = models.Instance.objects.filter(pk__in=instances)
        self.wait(
            lambda: wanted.filter(status__in=FINAL_STATUSES).count() == len(set(instances)),
            lambda: list(wanted.exclude(status__in=FINAL_STATUSES).values_list("workflow", "status", "pk")),
        )
        self.wait(
            lambda: not models.Checkpoint.objects.filter(instance__in=instances, parked=False).exists(),
            lambda: "checkpoints of what has ended",
        )
        return [_ending(instance) for instance in instances]

    def logs(self, lines: int = 20) -> str:
        """Return the last lines of what each process wrote, without Celery's own."""
        return "\n".join("\n".join([f"--- {name}", *self._lines(name)[-lines:]]) for name in self._processes)

    def _lines(self, name: str) -> list[str]:
        log = self._processes[name].log
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [line for line in lines if " celery." not in line]

    def _posted(self, name: str, given: object, instance: str) -> bool:
        body = {"workflow": {"namespace": NAMESPACE, "name": name}, "id": instance, "input": given}
        return self._done("POST", "/instances", body)

    def _done(self, method: str, path: str, body: object) -> bool:
        """Return whether the server lived to say so."""
        try:
            self.ask(method, path, body)
        except OSError:
            return False
        return True

    def _start(self, name: str, process: _Process) -> None:
        with process.log.open("ab") as log:
            process.running = subprocess.Popen(
                [sys.executable, *process.command],
                cwd=ROOT,
                env={**self.environment, **self._own(name)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _own(self, name: str) -> Mapping[str, str]:
        ports = {"LEMLINE_WEB_PORT": str(self.port), "PORT": str(self.port)}
        return {"LEMLINE_FAULT_ROLE": name, "LEMLINE_FAULTS": str(self.folder / "faults"), **ports}

    def _serves(self, name: str) -> bool:
        if name == "web":
            with contextlib.suppress(OSError, AssertionError):
                self.ask("GET", "/workflows?limit=1")
                return True
            return False
        return models.Node.objects.filter(name__endswith=f"/{self.pid(name)}").exists()

    def _bury(self, process: _Process) -> None:
        """Leave nothing of a dead process's group: gunicorn's workers outlive it for a moment."""
        if process.running is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.running.pid, signal.SIGKILL)
        process.running.wait()
        process.running = None


def _ending(instance: str) -> Ending:
    row = models.Instance.objects.get(pk=instance)
    rows = models.History.objects.filter(instance=instance)
    places = Counter(rows.values_list("step", "ordinal"))
    assert set(places.values()) <= {1}, places
    runs = rows.filter(is_phase=False).values_list("position", "status", "attempt", "iteration")
    output = None if row.output is None else json.loads(bytes(row.output))
    return Ending(row.status, output, sorted(runs, key=str))
