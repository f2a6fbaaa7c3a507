"""`run: shell` and `run: script`: child processes with an emptied environment and limits.

Limits keep accidents small. They are no sandbox: who may register definitions may run programs.

Source: DSL reference, "Shell Process" and "Script Process"; docs/dsl.md 35.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.activities.calls import ActivityCall, ActivityResult, Limits, failure, members, required, stop
from workers.activities.http import fetch, spelled
from workflows.dsl.jsontext import Json

_PIECE = 64 * 1024
_LIMITED = 'ulimit -v "$0"; ulimit -c 0; exec "$@"'
_V8 = Path(__file__).with_name("v8.py")
_JAVASCRIPT = frozenset({"js", "javascript"})
_MODULE = re.compile(r"^\s*(import\s*[\w{*'\"]|export\s)", re.MULTILINE)
"""What makes a script an ES module."""

_PARAMETER = re.compile(r"\$\{?[#!]?[0-9@*#]")
"""A shell command that reads its arguments."""

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is started."""

    command: Sequence[str]
    stdin: bytes
    environment: Mapping[str, str]
    limits_space: bool = True
    """V8 reserves more address space than any limit allows, and uses little of it: it is told itself."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


class ShellActivity:
    """Runs `run: shell`."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Run the command in /bin/sh. Its arguments are `$1`, `$2` ...; one that reads none gets them at its end."""
        arguments = call.revealed()
        command, words = str(required(arguments, "command")), _words(arguments.get("arguments"))
        if words and not _PARAMETER.search(command):
            command = f'{command.rstrip()} "$@"'
        return await _run(call, arguments, lambda _: _program(arguments, ["/bin/sh", "-c", command, "sh", *words]))


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
            command = _python if language == "python" else _javascript
            return _program(arguments, [*command(code, folder, call.limits), *words], space=language == "python")

        return await _run(call, arguments, prepare)


def _python(code: str, folder: Path, limits: Limits) -> list[str]:
    return [limits.python or sys.executable, "-I", "-S", _stored(code, folder / "script.py")]


def _javascript(code: str, folder: Path, limits: Limits) -> list[str]:
    node, is_module = shutil.which(limits.node), _MODULE.search(code) is not None
    if node is None and is_module:
        raise failure("configuration", "a script with `import` or `export` needs Node (lemline.processes.node)")
    file = _stored(code, folder / ("script.mjs" if is_module else "script.js"))
    mebibytes = max(1, limits.process_bytes // _MIB)
    if node:
        return [node, f"--max-old-space-size={mebibytes}", file]
    return [sys.executable, "-I", str(_V8), str(mebibytes), file]


def _stored(code: str, file: Path) -> str:
    file.write_text(code, "utf-8", "surrogatepass")
    return str(file)


def _program(arguments: Mapping[str, Json], command: Sequence[str], *, space: bool = True) -> Program:
    if shutil.which(command[0]) is None:
        raise failure("configuration", f"there is no {command[0]} on this worker")
    stdin = arguments.get("stdin")
    given = members(arguments.get("environment"), "environment variables")
    return Program(
        command=command,
        stdin=b"" if stdin is None else spelled(stdin).encode(),
        environment={str(name): spelled(value) for name, value in given.items() if value is not None},
        limits_space=space,
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
    endpoint = required(arguments["source"], "endpoint")
    code = await fetch(call, endpoint, call.redacted()["source"]["endpoint"])
    return code.decode("utf-8", "replace")


async def _run(call: ActivityCall, arguments: Mapping[str, Json], prepare: Callable[[Path], Program]) -> ActivityResult:
    with tempfile.TemporaryDirectory(prefix="lemline-", ignore_cleanup_errors=True) as name:
        ended = await _Child(call, prepare(Path(name)), name).run()
    return ActivityResult(_returned(ended, arguments.get("return", "stdout")))


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


class _Streams(asyncio.subprocess.SubprocessStreamProtocol):
    """Tells when the process itself has ended: `Process.wait` of older Pythons waits for its pipes as well."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=_PIECE, loop=loop)
        self.ended = loop.create_future()

    def process_exited(self) -> None:
        super().process_exited()
        self.ended.set_result(None)


class _Child:
    """A child process and everything it starts: a session of its own, killed as a whole."""

    def __init__(self, call: ActivityCall, program: Program, folder: str) -> None:
        self._call = call
        self._program = program
        self._folder = folder
        self._limit = call.limits.output_bytes
        self._transport: asyncio.SubprocessTransport
        self._streams: _Streams

    async def run(self) -> Ended:
        seconds = self._call.seconds(self._call.limits.process_seconds)
        await self._start()
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(self._communicate())
        self._call.cancelled.add_callback(lambda: stop(loop, task))
        try:
            async with asyncio.timeout(seconds):
                return await task
        except TimeoutError as error:
            raise failure("timeout", f"the process took longer than {seconds:.3g} s", answered=False) from error
        except asyncio.CancelledError:
            if self._call.cancelled.is_set():
                raise failure("runtime", "the process was cancelled", answered=False) from None
            raise
        finally:
            await self._end()
            self._transport.close()

    async def _start(self) -> None:
        program, loop = self._program, asyncio.get_running_loop()
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", "HOME": self._folder, **program.environment}
        memory = str(self._call.limits.process_bytes // 1024) if program.limits_space else "unlimited"
        try:
            # A shell sets the limits: code of ours between fork and exec could hang on another thread's lock.
            self._transport, self._streams = await loop.subprocess_exec(
                lambda: _Streams(loop),
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

    async def _communicate(self) -> Ended:
        process = asyncio.subprocess.Process(self._transport, self._streams, asyncio.get_running_loop())
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        _, stdout, stderr, code = await asyncio.gather(
            self._feed(process.stdin), self._read(process.stdout), self._read(process.stderr), self._exit_code()
        )
        return Ended(code=code, stdout=_text(stdout), stderr=_text(stderr))

    async def _exit_code(self) -> int:
        await asyncio.shield(self._streams.ended)
        await self._end()
        code = self._transport.get_returncode()
        return -1 if code is None else code

    async def _end(self) -> None:
        """Kill what is left of the group: the process, and what it left behind, which would keep the pipes open."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), signal.SIGKILL)
        await asyncio.shield(self._streams.ended)

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


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
