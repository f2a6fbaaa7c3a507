"""Helper processes for jq programs that may not end: few, kept warm, killed when one takes too long."""

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from django.conf import settings

from workflows.engine.expressions import set_sandbox
from workflows.engine.scope import DATA_LIMIT_BYTES

_WORKER = Path(__file__).with_name("jq_worker.py")
_PIECE = 1 << 16

START_SECONDS = 30.0
"""How long a helper may take to start. On a busy machine that is no fault of the expression."""

_OUT_OF_MEMORY = frozenset({1, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS})
"""How a helper ends when it gets no more memory: by Python, by jq, or by the system."""


def open_sandbox() -> "JqSandbox":
    """Give this process its helpers, as they are configured."""
    limits = settings.LEMLINE.expressions
    sandbox = JqSandbox(limits.helpers, limits.timeout.total_seconds(), limits.memory, DATA_LIMIT_BYTES)
    # jq reads `~/.jq` into every program; only the helpers are kept from it.
    set_sandbox(sandbox, everything=(Path.home() / ".jq").exists())
    return sandbox


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
        question = f"{json.dumps(program)}\n{json.dumps(text)}\n".encode()
        try:
            answer = self._ask(question)
        except _KilledError:
            # Somebody killed the helper, maybe before it was asked at all.
            try:
                answer = self._ask(question)
            except _KilledError as error:
                raise TimeoutError("the expression's helper was killed twice") from error
        if isinstance(answer, dict):
            raise ValueError(answer["error"])  # noqa: TRY004  (what jq said of a value)
        return answer[0] if answer else None

    def _ask(self, question: bytes) -> "list[str] | dict[str, str]":
        helper = self._free.get()
        try:
            if helper is None:
                helper = _Helper(self._memory, self._timeout)
            answer = helper.ask(question, self._timeout, self._output)
        except BaseException:
            if helper is not None:
                helper.kill()
            self._free.put(None)
            raise
        self._free.put(helper)
        return answer

    def close(self) -> None:
        """End the helpers that are free; who evaluates later starts others."""
        free = [self._free.get() for _ in range(self._free.qsize())]
        for helper in free:
            if helper is not None:
                helper.kill()
            self._free.put(None)


class _KilledError(Exception):
    """A helper ended for no reason of its own."""


class _Helper:
    def __init__(self, memory_bytes: int, timeout_seconds: float) -> None:
        # `-I`: neither the current folder nor PYTHON* variables are looked at. HOME: jq reads `~/.jq`.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER), str(memory_bytes), str(timeout_seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"TZ": "UTC", "HOME": "/nonexistent", "LANG": "C.UTF-8"}, cwd="/", bufsize=0, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout
        # Else a helper that was stopped would stop us, once its pipe is full.
        os.set_blocking(self._stdin.fileno(), False)
        self._is_ready = False

    def ask(self, question: bytes, seconds: float, output_bytes: int) -> "list[str] | dict[str, str]":
        if not self._is_ready:
            self._line(time.monotonic() + START_SECONDS, "the expression's helper does not start", output_bytes)
            self._is_ready = True
        deadline = time.monotonic() + seconds
        message = f"the expression took longer than {seconds:g} s"
        self._send(question, deadline, message)
        answer: list[str] | dict[str, str] = json.loads(self._line(deadline, message, output_bytes))
        return answer

    def _send(self, data: bytes, deadline: float, message: str) -> None:
        rest = memoryview(data)
        while rest:
            self._await(self._stdin, select.POLLOUT, deadline, message)
            try:
                rest = rest[self._stdin.write(rest[:_PIECE]) or 0 :]
            except BrokenPipeError:
                self._ended(message)

    def _line(self, deadline: float, message: str, output_bytes: int) -> bytes:
        received = bytearray()
        while not received.endswith(b"\n"):
            self._await(self._stdout, select.POLLIN, deadline, message)
            piece = self._stdout.read(_PIECE)
            if not piece:
                self._ended(message)
            received += piece
            if len(received) > output_bytes:
                raise TimeoutError(f"the expression's result is over {output_bytes} bytes")
        return bytes(received)

    def _await(self, pipe: IO[bytes], event: int, deadline: float, message: str) -> None:
        # Not `select`: that takes no descriptor over 1023.
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError(message)

    def _ended(self, message: str) -> None:
        """Say why the helper ended, whose pipes are closed."""
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            raise TimeoutError(message)
        if code in _OUT_OF_MEMORY:
            raise TimeoutError("the expression took more memory than a helper has")
        raise _KilledError(code)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()
