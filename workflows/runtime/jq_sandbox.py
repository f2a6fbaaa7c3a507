"""Helper processes for jq programs that may not end: few, kept warm, killed when one takes too long."""

import contextlib
import json
import queue
import select
import subprocess
import sys
import time
from pathlib import Path

_WORKER = Path(__file__).with_name("jq_worker.py")
_PIECE = 1 << 16


class JqSandbox:
    """A few helper processes, started when first needed; safe to use from many threads.

    Args:
        helpers: How many at most.
        timeout_seconds: Wall time of one evaluation.
        memory_bytes: Address space of a helper.
        output_bytes: Size of a result at most.
    """

    def __init__(self, helpers: int, timeout_seconds: float, memory_bytes: int, output_bytes: int) -> None:
        self._timeout = timeout_seconds
        self._memory = memory_bytes
        self._output = output_bytes
        self._free: queue.LifoQueue[_Helper | None] = queue.LifoQueue()
        for _ in range(helpers):
            self._free.put(None)

    def run(self, program: str, text: str) -> str | None:
        """Return the first result as JSON text, None without one. ValueError and TimeoutError as the port says."""
        helper = self._free.get() or _Helper(self._memory)
        try:
            answer = helper.ask(program, text, self._timeout, self._output)
        except BaseException:
            helper.kill()
            self._free.put(None)
            raise
        self._free.put(helper)
        if isinstance(answer, dict):
            raise ValueError(answer["error"])  # noqa: TRY004  (what jq said of a value)
        return answer[0] if answer else None

    def close(self) -> None:
        """End the helpers that are free; who evaluates later starts others."""
        free = [self._free.get() for _ in range(self._free.qsize())]
        for helper in free:
            if helper is not None:
                helper.kill()
            self._free.put(None)


class _Helper:
    def __init__(self, memory_bytes: int) -> None:
        # `-I`: neither the current folder nor PYTHON* variables are looked at. HOME: jq reads `~/.jq`.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER), str(memory_bytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"TZ": "UTC", "HOME": "/nonexistent", "LANG": "C.UTF-8"}, cwd="/", bufsize=0, start_new_session=True,
        )  # fmt: skip

    def ask(self, program: str, text: str, seconds: float, output_bytes: int) -> "list[str] | dict[str, str]":
        deadline = time.monotonic() + seconds
        self._send(f"{json.dumps(program)}\n{json.dumps(text)}\n".encode(), deadline)
        line = self._receive(deadline, seconds, output_bytes)
        answer: list[str] | dict[str, str] = json.loads(line)
        return answer

    def _send(self, data: bytes, deadline: float) -> None:
        assert self._process.stdin is not None
        rest = memoryview(data)
        while rest:
            _, ready, _ = select.select([], [self._process.stdin], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the expression took too long")
            try:
                rest = rest[self._process.stdin.write(rest[:_PIECE]) or 0 :]
            except BrokenPipeError:
                raise TimeoutError("the expression's helper ended") from None

    def _receive(self, deadline: float, seconds: float, output_bytes: int) -> bytes:
        assert self._process.stdout is not None
        received = bytearray()
        while not received.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the expression took longer than {seconds:g} s")
            piece = self._process.stdout.read(_PIECE)
            if not piece:
                raise TimeoutError("the expression took more memory than a helper has")
            received += piece
            if len(received) > output_bytes:
                raise TimeoutError(f"the expression's result is over {output_bytes} bytes")
        return bytes(received)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
