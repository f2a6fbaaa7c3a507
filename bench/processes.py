"""Worker processes of a peer, for the length of a block; and waiting for what they do."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

DEADLINE_SECONDS = 300


@contextlib.contextmanager
def running(
    commands: Sequence[Sequence[str]], are_ready: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[list[int]]:
    """Run these commands; the ids of their processes, once they are ready."""
    given = {**os.environ, **(environment or {})}
    processes = [subprocess.Popen(command, env=given) for command in commands]
    try:
        wait_until(are_ready, "the workers did not start")
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def wait_until(condition: Callable[[], bool], complaint: str) -> None:
    """Return once a condition holds; TimeoutError with the complaint when it does not."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.01)


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
