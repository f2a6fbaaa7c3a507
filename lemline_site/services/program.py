"""A program that runs beside this process: how it is started, when it is ready, how it is stopped."""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

LEAVING_SECONDS = 5.0
"""How long a server takes to end, at most, once it was told to."""

_SET_PARENT_DEATH_SIGNAL = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is needed to run it, now and again after it died."""

    name: str
    command: Sequence[str]
    url: str = ""
    """Where it is reached, for those that serve something."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of this process."""

    user: str | None = None
    """Whom it runs as, when this process is root and the program refuses to be."""

    folder: Path | None = None
    """Its working folder."""

    log: Path | None = None
    """A file for what it writes, where that is of interest only when it fails."""

    stop_signal: signal.Signals = signal.SIGTERM
    is_ready: Callable[[], bool] = lambda: True
    """Asked until it says so. Exceptions mean no."""

    clean_up: Callable[[], object] = lambda: None
    """Called after its end, for what it leaves outside of its process group."""


class NotReadyError(Exception):
    """A program ended or stayed deaf while it was waited for; the message has the last lines it wrote."""


def start(program: Program, output: int | IO[Any] | None = None) -> "subprocess.Popen[bytes]":
    """Start it as leader of a process group of its own. It is told to stop when the calling thread ends."""

    def die_with_parent() -> None:
        _libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(program.stop_signal))

    identity: dict[str, Any] = {}
    if program.user is not None:
        identity = {"user": program.user, "group": pwd.getpwnam(program.user).pw_gid, "extra_groups": []}
    return subprocess.Popen(
        program.command,
        env={**os.environ, **program.environment},
        cwd=program.folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509  (one call into libc, which takes no lock)
        **identity,
    )


def wait_until_ready(program: Program, process: "subprocess.Popen[bytes]", timeout_seconds: float = 60) -> None:
    """Return when it answers; NotReadyError when it ends or takes too long."""
    deadline = time.monotonic() + timeout_seconds
    while not _is_ready(program):
        if process.poll() is not None:
            raise NotReadyError(f"{program.name} ended with {process.returncode}{_last_lines(program.log)}")
        if time.monotonic() > deadline:
            raise NotReadyError(f"{program.name} did not answer within {timeout_seconds:g} s")
        time.sleep(0.05)


def stop(program: Program, process: "subprocess.Popen[bytes]", grace_seconds: float = 15) -> None:
    """Ask it to end; when the grace is over, kill its process group."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(program.stop_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    kill_group(process)
    program.clean_up()


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill whatever is left of a program and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def running(program: Program, log: Path) -> Iterator[Program]:
    """Run it for the length of a block, with its output in a file."""
    with log.open("ab") as output:
        process = start(program, output)
        try:
            wait_until_ready(program, process)
            yield program
        except NotReadyError as error:
            raise NotReadyError(f"{error}\n{log.read_text(errors='replace')[-2000:]}") from error
        finally:
            stop(program, process)


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def kept_port(folder: Path) -> int:
    """Return the port that this folder's service had last time, if it is free; else a new one, kept for the next."""
    note = folder / "port"
    if note.is_file():
        port = int(note.read_text())
        # A predecessor may be on its way out: two servers on one folder would spoil each other's files.
        deadline = time.monotonic() + LEAVING_SECONDS
        while is_taken(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not is_taken(port):
            return port
    port = free_port()
    note.write_text(str(port))
    return port


def own_folder(folder: Path, user: str | None) -> Path:
    """Make a folder that the user can enter and write.

    A folder below one that only root may enter (`/root`) is replaced by one in /var/lib.
    """
    folder = folder.resolve()
    if user is not None and any(not parent.stat().st_mode & 0o001 for parent in folder.parents if parent.exists()):
        folder = Path("/var/lib") / f"lemline{str(folder).replace('/', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user)
    return folder


def user_for(*names: str) -> str | None:
    """Return the first of these users that exists, when this process is root and must become another."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in (*names, "nobody") if name in known), None)


def _last_lines(log: Path | None, count: int = 5) -> str:
    if log is None or not log.is_file():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "\n".join([f"; {log} ends with", *(f"  {line}" for line in lines)])


def _is_ready(program: Program) -> bool:
    try:
        return program.is_ready()
    except Exception:  # noqa: BLE001  (each client library has errors of its own for "not yet")
        return False
