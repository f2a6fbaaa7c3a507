"""What an activity is given, what it gives back, and how it is stopped."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from workflows.dsl.jsontext import Json, encode
from workflows.engine.problems import Problem, ProblemError, problem
from workflows.engine.secrets import redact, reveal

log = logging.getLogger("lemline.activities")

_lock = threading.Lock()
"""One for all: it is held for an instant, and an activity is quicker without a lock of its own."""


class Cancellation:
    """Says that nobody waits for an activity any more."""

    __slots__ = ("_callbacks", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        """Stop it. Callbacks run in this thread, once."""
        with _lock:
            self._is_set = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        """Return whether it was stopped."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait until it is stopped, at most so long; return whether it is."""
        event = threading.Event()
        self.add_callback(event.set)
        return event.wait(seconds)

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Call this when it is stopped; at once when it has been."""
        with _lock:
            if not self._is_set:
                self._callbacks.append(callback)
                return
        callback()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an activity may use and reach."""

    response_bytes: int = 16 * 1024 * 1024
    output_bytes: int = 16 * 1024 * 1024
    """Of each output of a process."""

    private_addresses: tuple[str, ...] = ()
    """Networks, `loopback` or `all`."""

    http_seconds: float = 60.0
    connect_seconds: float = 10.0
    connections_per_host: int = 64
    user_agent: str = "lemline"
    cache_entries: int = 0
    """Answers that may be kept; none where it is 0."""

    cache_bytes: int = 0
    cache_seconds: float = 0.0
    process_seconds: float = 300.0
    process_bytes: int = 1024 * 1024 * 1024
    """Address space of a child process."""

    python: str = ""
    node: str = "node"


class ActivityCall(msgspec.Struct, frozen=True, kw_only=True):
    """One activity that is to run."""

    kind: str
    arguments: Json
    """As the engine rendered them; secrets are marks."""

    idempotency_key: str
    instance_id: str
    wait_id: str
    position: str
    name: str
    attempt: int
    definition: tuple[str, str, str]
    """Namespace, name and version. The namespace keeps what is kept apart; the others are for logs."""

    timeout_seconds: float | None
    """Until the nearest enclosing timeout; None for the default of its kind."""

    secrets: Callable[[str], Json]
    seal: str
    limits: Limits
    cancelled: Cancellation
    begun_at: float = msgspec.field(default_factory=time.monotonic)
    """On the clock of `time.monotonic`: what comes first leaves less time for the rest."""

    def revealed(self) -> Json:
        """Return the arguments with secrets in the place of their marks. ProblemError when one is missing."""
        return reveal(self.arguments, self.seal, self.secrets)

    def redacted(self) -> Json:
        """Return the arguments for people to look at, with names in the place of secrets."""
        return redact(self.arguments)

    def seconds(self, default: float) -> float:
        """Return how long it may still take, of a default that counts from its beginning."""
        whole = default if self.timeout_seconds is None else min(self.timeout_seconds, default)
        return max(0.0, whole - (time.monotonic() - self.begun_at))


@dataclass(frozen=True)
class ActivityResult:
    """How an activity ended well."""

    output: Json


class ActivityError(Exception):
    """How an activity ended badly."""

    def __init__(self, problem: Problem, *, answered: bool = True) -> None:
        super().__init__(problem.detail or problem.type)
        self.problem = problem
        self.answered = answered
        """Whether the other side is known to have answered; if not, a retry keeps the idempotency key."""


def failure(name: str, detail: str, *, status: int | None = None, answered: bool = True) -> ActivityError:
    """Return the error of a standard problem."""
    return ActivityError(problem(name, detail, status=status), answered=answered)


def problem_of(error: BaseException) -> tuple[bool, Problem]:
    """Return whether the other side is known to have answered, and the problem."""
    if isinstance(error, ActivityError):
        return error.answered, error.problem
    if isinstance(error, ProblemError):
        return True, error.problem
    log.error("activity.failed", exc_info=error)
    return True, problem("runtime", f"{type(error).__name__}: {error}")


def required(arguments: Json, name: str) -> Json:
    """Return one of the arguments, which an expression may have given as a whole.

    Raises:
        ActivityError: It is not there (`expression`).
    """
    if not isinstance(arguments, Mapping) or arguments.get(name) is None:
        raise failure("expression", f"the arguments lack {name!r}")
    return arguments[name]


def members(value: Json, what: str) -> Mapping[str, Json]:
    """Return an object that an expression may have given; null is an empty one.

    Raises:
        ActivityError: It is something else (`expression`).
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise failure("expression", f"{what} are an object, not {encode(value).decode()[:200]}")
    return value


def stop(loop: asyncio.AbstractEventLoop, task: asyncio.Future[Any]) -> None:
    """Cancel a task of a loop from any thread; one that has ended by now is left alone."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(task.cancel)


class AsyncActivity(Protocol):
    """Runs on the event loop of its process."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Return the result; ActivityError or ProblemError otherwise."""
        ...


class SyncActivity(Protocol):
    """Runs on a thread."""

    def run(self, call: ActivityCall) -> ActivityResult:
        """Return the result; ActivityError or ProblemError otherwise."""
        ...
