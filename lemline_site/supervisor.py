"""Keeps programs running: one process for each, started again when it dies.

What a program writes is shown line by line behind its name. One signal ends everything in order: those
started last first, each group of them with its grace.
"""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import IO, Self

from lemline_site.services import program as programs
from lemline_site.services.program import NotReadyError, Program

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
SETTLED_SECONDS = 30.0
"""A program that lived so long is started again at once; one that dies sooner waits twice as long each time."""

_TURN_SECONDS = 0.1


@dataclass(kw_only=True)
class _Child:
    """A program and the process that runs it now."""

    program: Program
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS


@dataclass(kw_only=True)
class Supervisor:
    """Programs in groups. A context manager: leaving the block ends them all."""

    grace_seconds: float
    """How long a program may take to end before it is killed."""

    output: IO[str] = field(default_factory=lambda: sys.stdout)
    _groups: list[list[_Child]] = field(default_factory=list)
    _width: int = 0
    _is_stopping: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        """Take over SIGINT and SIGTERM: they end the block in `watch` instead of the process."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the groups, the last one first, its programs at the same time."""
        for group in reversed(self._groups):
            self._end(group)

    def start(self, group: Sequence[Program]) -> None:
        """Start programs and return when each is ready; NotReadyError when one dies before."""
        children = [_Child(program=program) for program in group]
        self._width = max([self._width, *(len(program.name) for program in group)])
        self._groups.append(children)
        for child in children:
            self._start(child)
        for child in children:
            if child.process is not None:
                programs.wait_until_ready(child.program, child.process)

    def watch(self) -> None:
        """Start again what dies, until told to stop."""
        while not self._is_stopping.wait(_TURN_SECONDS):
            for child in self._children():
                self._look_after(child)

    def say(self, name: str, text: str) -> None:
        """Show a line behind a name."""
        self.announce(f"{name:<{self._width}} | {text}")

    def announce(self, text: str) -> None:
        """Show a text of one's own."""
        with self._writing, contextlib.suppress(ValueError, BrokenPipeError):
            print(text, file=self.output, flush=True)

    def _children(self) -> Iterator[_Child]:
        for group in self._groups:
            yield from group

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child)
        elif child.process.poll() is not None:
            self._bury(child, now)

    def _start(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        if child.program.log is not None:
            with child.program.log.open("ab") as log:
                child.process = programs.start(child.program, log)
            return
        child.process = programs.start(child.program, subprocess.PIPE)
        threading.Thread(target=self._relay, args=(child.program.name, child.process.stdout), daemon=True).start()

    def _bury(self, child: _Child, now: float) -> None:
        """Leave nothing of a dead program's children, and say when it will be back."""
        if child.process is None:
            return
        code = child.process.returncode
        programs.kill_group(child.process)
        child.program.clean_up()
        if now - child.started_at > SETTLED_SECONDS:
            child.pause_seconds = FIRST_PAUSE_SECONDS
        where = f" (it wrote to {child.program.log})" if child.program.log else ""
        self.say(child.program.name, f"ended with {_reason(code)}{where}; again in {child.pause_seconds:g} s")
        child.process, child.start_at = None, now + child.pause_seconds
        child.pause_seconds = min(child.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _end(self, group: Sequence[_Child]) -> None:
        living = [(child.program, child.process) for child in group if child.process is not None]
        for program, process in living:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(program.stop_signal)
        deadline = time.monotonic() + self.grace_seconds
        for program, process in living:
            programs.stop(program, process, max(0.0, deadline - time.monotonic()))

    def _relay(self, name: str, lines: IO[bytes]) -> None:
        with contextlib.suppress(ValueError):
            for line in lines:
                self.say(name, line.decode(errors="replace").rstrip("\n"))

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping.is_set():
            self.grace_seconds = 0
        self._is_stopping.set()


def read_procfile(text: str) -> Iterator[Program]:
    """Yield the programs of a Procfile, `name: command`. A shell expands the command and gives way to it."""
    for line in text.splitlines():
        name, separator, command = line.partition(":")
        if separator and not name.lstrip().startswith("#"):
            yield Program(name=name.strip(), command=("/bin/sh", "-c", f"exec {command.strip()}"))


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


__all__ = ["NotReadyError", "Supervisor", "read_procfile"]
