"""Worker processes of a peer, for the length of a block; and waiting for what they do."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

DEADLINE_SECONDS = 300


@contextlib.contextmanager
def running(commands: Sequence[Sequence[str]], are_ready: Callable[[], bool]) -> Iterator[list[int]]:
    """Run these commands; the ids of their processes, once they are ready."""
    processes = [subprocess.Popen(command) for command in commands]
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
