"""What LEMLINE_ACTIVITIES brings into the workers under test: functions that wait for a file, or may be deadly."""

import os
from pathlib import Path
from threading import Event
from typing import Any

from workers.activities import Context, Problem, activity


def _begun(folder: str) -> Path:
    """Note that this process began; return the file to wait for."""
    with (Path(folder) / "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return Path(folder) / "go"


@activity("stop/heed")
def heed(folder: str, *, context: Context) -> int:
    """Wait for the file; end when told to."""
    go = _begun(folder)
    while not go.exists():
        if context.cancelled.wait(0.02):
            raise InterruptedError("told to stop")
    return os.getpid()


@activity("stop/ignore")
def ignore(folder: str) -> int:
    """Wait for the file, whatever happens."""
    go = _begun(folder)
    while not go.exists():
        Event().wait(0.02)
    return os.getpid()


@activity("stop/grow")
def grow(folder: str, size: int) -> int:
    """Hold on to so much memory, and wait for the file."""
    _HELD.append(bytearray(b"x") * size)
    return ignore(folder)


_HELD: list[bytearray] = []


def _note(folder: str, label: str) -> None:
    with (Path(folder) / "order").open("a") as file:
        file.write(f"{label}\n")


@activity("turn/note")
def note(folder: str, label: str) -> None:
    """Note that it began."""
    _note(folder, label)


@activity("turn/first")
def first(folder: str, label: str) -> None:
    """The same; the first one waits for the file."""
    (hold if label.endswith(" 0") else note)(folder, label)


@activity("turn/hold")
def hold(folder: str, label: str) -> None:
    """The same, and wait for the file."""
    _note(folder, label)
    while not (Path(folder) / "go").exists():
        Event().wait(0.01)


@activity("suspect/show")
def show(value: Any = None, *, context: Context) -> Any:
    """Return what was given, and what this process and call are."""
    return {"value": value, "process": os.getpid(), "key": context.idempotency_key, "spoilt": _SPOILT}


@activity("suspect/spoil")
def spoil() -> int:
    """Leave this process in a state in which the next activity dies."""
    _SPOILT.append(True)
    return os.getpid()


@activity("suspect/die")
def die(only_spoilt: bool = False) -> int:
    """Take this process along."""
    if _SPOILT or not only_spoilt:
        os._exit(1)
    return os.getpid()


@activity("suspect/fail")
def fail() -> None:
    """Fail with a problem of its own."""
    raise Problem("https://example.com/errors/broken", 502, "Broken", "as it is")


_SPOILT: list[bool] = []
