"""What LEMLINE_ACTIVITIES brings into the workers under test: functions that wait for a file."""

import os
from pathlib import Path
from threading import Event

from workers.activities import Context, activity


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


def _note(folder: str, label: str) -> None:
    with (Path(folder) / "order").open("a") as file:
        file.write(f"{label}\n")


@activity("turn/note")
def note(folder: str, label: str) -> None:
    """Note that it began."""
    _note(folder, label)


@activity("turn/hold")
def hold(folder: str, label: str) -> None:
    """The same, and wait for the file."""
    _note(folder, label)
    while not (Path(folder) / "go").exists():
        Event().wait(0.01)
