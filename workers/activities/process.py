"""`run: shell` and `run: script`: child processes with an emptied environment and limits.

Limits keep accidents small. They are no sandbox: who may register definitions may run programs.

Source: DSL reference, "Shell Process" and "Script Process"; docs/dsl.md 35.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.activities.authentication import headers_of
from workers.activities.calls import ActivityCall, ActivityResult, Limits, failure, stop
from workers.activities.http import CLIENT, Request, address_of, spelled
from workflows.dsl.jsontext import Json

_PIECE = 64 * 1024
_LIMITED = 'ulimit -v "$0"; ulimit -c 0; exec "$@"'
_V8 = Path(__file__).with_name("v8.py")
_JAVASCRIPT = frozenset({"js", "javascript"})


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is started."""

    command: Sequence[str]
    stdin: bytes
    environment: Mapping[str, str]
    limits_memory: bool = True
    """V8 reserves more address space than any limit allows, and uses little of it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


class ShellActivity:
    """Runs `run: shell`."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Run the command in /bin/sh; arguments are words of their own."""
        arguments = call.revealed()
        command = str(arguments["command"])
        words = _words(arguments.get("arguments"))
        script = " ".join([command, *map(shlex.quote, words)])
        return await _run(call, arguments, lambda _: _program(arguments, ["/bin/sh", "-c", script]))


class ScriptActivity:
    """Runs `run: script` of python and js."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Run the code in a process of its own."""
        arguments = call.revealed()
        language = str(arguments.get("language", "")).lower()
        if language not in (*_JAVASCRIPT, "python"):
            raise failure("configuration", f"scripts in {language!r} cannot be run; python and js can")
        code = await _code(call, arguments)
        words = _words(arguments.get("arguments"))

        def prepare(folder: Path) -> Program:
            return _script(arguments, language, code, words, folder, call.limits)

        return await _run(call, arguments, prepare)


def _script(
    arguments: Mapping[str, Json], language: str, code: str, words: Sequence[str], folder: Path, limits: Limits
) -> Program:
    if language == "python":
        file = folder / "script.py"
        file.write_text(code, "utf-8")
        return _program(arguments, [limits.python or sys.executable, "-I", "-S", str(file), *words])
    file = folder / "script.js"
    file.write_text(code, "utf-8")
    node = shutil.which(limits.node)
    command = [node] if node else [sys.executable, "-I", str(_V8)]
    return _program(arguments, [*command, str(file), *words], limits_memory=False)


def _program(arguments: Mapping[str, Json], command: Sequence[str], *, limits_memory: bool = True) -> Program:
    stdin = arguments.get("stdin")
    given = arguments.get("environment") or {}
    return Program(
        command=command,
        stdin=b"" if stdin is None else spelled(stdin).encode(),
        environment={str(name): spelled(value) for name, value in given.items()},
        limits_memory=limits_memory,
    )


def _words(given: Json) -> list[str]:
    """Return arguments as words; a map gives `key=value`."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [f"{key}={spelled(value)}" for key, value in given.items()]
    if isinstance(given, list):
        return [spelled(value) for value in given]
    raise failure("expression", "arguments are an array or an object")


async def _code(call: ActivityCall, arguments: Mapping[str, Json]) -> str:
    if "source" not in arguments:
        return str(arguments.get("code", ""))
    endpoint = arguments["source"]["endpoint"]
    headers = {"User-Agent": call.limits.user_agent, **headers_of(endpoint.get("authentication"))}
    request = Request(method="GET", url=address_of(endpoint["uri"]), headers=headers)
    response = await CLIENT.send(request, call.limits, call.seconds(call.limits.http_seconds), follow=True)
    if response.status >= 300:
        raise failure("communication", f"{request.url} answered {response.status}", status=response.status)
    return response.body.decode("utf-8", "replace")


async def _run(call: ActivityCall, arguments: Mapping[str, Json], prepare: Callable[[Path], Program]) -> ActivityResult:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lemline-", ignore_cleanup_errors=True) as name:
        ended = await _Child(call, prepare(Path(name)), name).run()
    output = _returned(ended, arguments.get("return", "stdout"))
    return ActivityResult(output=output, timing={"total": time.monotonic() - begun})


def _returned(ended: Ended, form: Json) -> Json:
    """Return what `return` asks for; one line break at the end of an output is trimmed."""
    match form:
        case "none":
            return None
        case "code":
            return ended.code
        case "stderr":
            return ended.stderr
        case "all":
            return {"code": ended.code, "stdout": ended.stdout, "stderr": ended.stderr}
        case _:
            return ended.stdout


class _Child:
    """A child process and everything it starts: a session of its own, killed as a whole."""

    def __init__(self, call: ActivityCall, program: Program, folder: str) -> None:
        self._call = call
        self._program = program
        self._folder = folder
        self._limit = call.limits.output_bytes

    async def run(self) -> Ended:
        seconds = self._call.seconds(self._call.limits.process_seconds)
        process = await self._start()
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(self._communicate(process))
        self._call.cancelled.add_callback(lambda: stop(loop, task))
        try:
            async with asyncio.timeout(seconds):
                return await task
        except TimeoutError as error:
            raise failure("timeout", f"the process took longer than {seconds:g} s", answered=False) from error
        except asyncio.CancelledError:
            if self._call.cancelled.is_set():
                raise failure("runtime", "the process was cancelled", answered=False) from None
            raise
        finally:
            _kill(process.pid)
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        program = self._program
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", "HOME": self._folder, **program.environment}
        memory = str(self._call.limits.process_bytes // 1024) if program.limits_memory else "unlimited"
        try:
            # A shell sets the limits: code of ours between fork and exec could hang on another thread's lock.
            return await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", _LIMITED, memory, *program.command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise failure("configuration", f"{program.command[0]} cannot be started: {error}") from error

    async def _communicate(self, process: asyncio.subprocess.Process) -> Ended:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        _, stdout, stderr = await asyncio.gather(
            self._feed(process.stdin), self._read(process.stdout), self._read(process.stderr)
        )
        return Ended(code=await process.wait(), stdout=_text(stdout), stderr=_text(stderr))

    async def _feed(self, pipe: asyncio.StreamWriter) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            pipe.write(self._program.stdin)
            await pipe.drain()
        pipe.close()

    async def _read(self, pipe: asyncio.StreamReader) -> bytes:
        received = bytearray()
        while piece := await pipe.read(_PIECE):
            received += piece
            if len(received) > self._limit:
                raise failure("runtime", f"the process wrote more than {self._limit} bytes (lemline.limits.output)")
        return bytes(received)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
