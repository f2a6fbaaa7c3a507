"""Registered Python functions: `@activity` makes one callable from workflows by name.

@activity("billing/charge", version="1.0.0", pool="compute", timeout="PT30S")
def charge(amount: int, currency: str = "EUR", *, context) -> dict: ...
"""

import asyncio
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, TypeVar

from workers.activities.calls import ActivityCall, ActivityError, ActivityResult, Cancellation, failure, stop
from workflows.dsl.duration import parse_duration
from workflows.dsl.jsontext import Json, decode, encode
from workflows.engine import problems
from workflows.engine.problems import ProblemError

GROUP = "lemline.activities"
"""Entry point group whose modules register functions."""

POOLS = ("http", "compute", "io")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")

F = TypeVar("F", bound=Callable[..., Any])


class Problem(ActivityError):  # noqa: N818  (the DSL calls it so)
    """Raised by a function to fail with a problem of its choice.

    Args:
        type: A URI, or the last part of one of the DSL's own: `validation`, `communication`, `runtime` ...
        status: HTTP-like number.
        title: Short text.
        detail: What happened.
    """

    def __init__(self, type: str, status: int, title: str | None = None, detail: str | None = None) -> None:
        uri = problems.BASE + type if type in problems.STATUSES else type
        super().__init__(problems.Problem(type=uri, status=status, title=title, detail=detail))


@dataclass(frozen=True)
class Context:
    """What a function may know of its call."""

    idempotency_key: str
    """Stays the same as long as the outcome of an earlier attempt is unknown: pass it on."""

    instance_id: str
    position: str
    attempt: int
    definition: tuple[str, str, str]
    cancelled: Cancellation
    """Set when nobody waits for the result any more."""


@dataclass(frozen=True)
class Function:
    """A registered function."""

    name: str
    version: str
    pool: str
    timeout: timedelta | None
    run: Callable[..., Any]
    parameters: frozenset[str]
    required: frozenset[str]
    takes_any: bool
    takes_context: bool
    is_async: bool


_functions: dict[str, dict[str, Function]] = {}


def activity(
    name: str, *, version: str = "1.0.0", pool: str = "compute", timeout: str | None = None
) -> Callable[[F], F]:
    """Register a function; it stays callable as before.

    Args:
        name: What workflows call: `call: name`.
        version: `call: name:version` picks one; without, the highest.
        pool: `http`, `compute` or `io`.
        timeout: ISO 8601 duration after which the call counts as timed out.

    Raises:
        ValueError: The name, version or pool is none, or another function has this name and version.
        TypeError: The function cannot be called by name with JSON, or is a generator.
    """
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise ValueError(f"{name}:{version}: a name has letters, digits, . _ - /, and a version is e.g. 1.0.0")
    if pool not in POOLS:
        raise ValueError(f"{name}: there is no pool {pool!r}; choose from {', '.join(POOLS)}")
    limit = None if timeout is None else parse_duration(timeout)

    def register(run: F) -> F:
        known = _functions.get(name, {}).get(version)
        if known is not None and _place(known.run) != _place(run):
            raise ValueError(f"{name}:{version} is {_place(known.run)} already; {_place(run)} needs another version")
        _functions.setdefault(name, {})[version] = _described(name, version, pool, limit, run)
        return run

    return register


def _place(run: Callable[..., Any]) -> str:
    return f"{run.__module__}.{run.__qualname__}"


def _described(name: str, version: str, pool: str, timeout: timedelta | None, run: Callable[..., Any]) -> Function:
    found = inspect.signature(run).parameters
    kinds = inspect.Parameter
    if inspect.isgeneratorfunction(run) or inspect.isasyncgenfunction(run):
        raise TypeError(f"{name}: a generator has no result; return a list")
    if any(each.kind is kinds.POSITIONAL_ONLY for each in found.values()):
        raise TypeError(f"{name}: workflows give arguments by name, so none may be positional only")
    named = {key: each for key, each in found.items() if each.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}
    return Function(
        name=name,
        version=version,
        pool=pool,
        timeout=timeout,
        run=run,
        parameters=frozenset(named) - {"context"},
        required=frozenset(key for key, each in named.items() if each.default is kinds.empty) - {"context"},
        takes_any=any(each.kind is kinds.VAR_KEYWORD for each in found.values()),
        takes_context="context" in named,
        is_async=inspect.iscoroutinefunction(run),
    )


def lookup(name: str) -> Function | None:
    """Return the function that `name` or `name:version` means; None without one."""
    base, _, version = name.partition(":")
    versions = _functions.get(base)
    if not versions:
        return None
    if version:
        return versions.get(version)
    if len(versions) == 1:
        return next(iter(versions.values()))
    return versions[max(versions, key=lambda text: tuple(map(int, text.split("."))))]


def pool_of(name: str) -> str | None:
    """Return the pool that a function's registration names; None when it is not registered here."""
    function = lookup(name)
    return None if function is None else function.pool


def names() -> list[str]:
    """Return every registered `name:version`."""
    return sorted(f"{name}:{version}" for name, versions in _functions.items() for version in versions)


def load(modules: Iterable[str]) -> None:
    """Import the modules that register functions: those of entry points, and those that are named."""
    for point in entry_points(group=GROUP):
        point.load()
    for module in modules:
        importlib.import_module(module)


class FunctionActivity:
    """Calls a registered function, on the thread of a job."""

    def run(self, call: ActivityCall) -> ActivityResult:
        """Call it with `with` as keyword arguments."""
        function, given = _asked_for(call)
        try:
            return ActivityResult(_result(function, function.run(**given)))
        except (ActivityError, ProblemError):
            raise
        except BaseException as error:
            # A function that calls sys.exit must end neither thread nor worker.
            raise _raised(function, error) from error


class AsyncFunctionActivity:
    """Calls a registered `async def`."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Call it with `with` as keyword arguments; it is cancelled when nobody waits for it any more."""
        function, given = _asked_for(call)
        task: asyncio.Future[Json] = asyncio.ensure_future(function.run(**given))
        loop = asyncio.get_running_loop()
        call.cancelled.add_callback(lambda: stop(loop, task))
        try:
            async with asyncio.timeout(seconds_of(function, call)) as limit:
                return ActivityResult(_result(function, await task))
        except (ActivityError, ProblemError):
            raise
        except asyncio.CancelledError:
            raise failure("runtime", f"{function.name} was cancelled", answered=False) from None
        except BaseException as error:
            raise overdue(function) if limit.expired() else _raised(function, error) from error


def seconds_of(function: Function, call: ActivityCall) -> float | None:
    """Return how long a call may take, by its registration and the timeouts around it; None for ever."""
    limits = [call.timeout_seconds, None if function.timeout is None else function.timeout.total_seconds()]
    return min((seconds for seconds in limits if seconds is not None), default=None)


def overdue(function: Function) -> ActivityError:
    """Return how a call ends that took too long."""
    return failure("timeout", f"{function.name} took longer than it may", answered=False)


def _asked_for(call: ActivityCall) -> tuple[Function, dict[str, Json]]:
    """Return the function of a call, and its arguments after a look at them."""
    arguments = call.revealed()
    function = lookup(arguments["function"])
    if function is None:
        raise failure(
            "configuration",
            f"the function {arguments['function']!r} is not registered on this worker; set LEMLINE_ACTIVITIES",
        )
    given = arguments.get("with")
    given = {} if given is None else given
    _check(function, given)
    if not function.takes_context:
        return function, given
    context = Context(
        call.idempotency_key, call.instance_id, call.position, call.attempt, call.definition, call.cancelled
    )
    return function, {**given, "context": context}


def _raised(function: Function, error: BaseException) -> ActivityError:
    return failure("runtime", f"{function.name} raised {type(error).__name__}: {error}")


def _check(function: Function, given: Json) -> None:
    if not isinstance(given, Mapping):
        raise failure("validation", f"{function.name} takes named arguments, in an object")
    missing = function.required - given.keys()
    # `context` is ours to give, also where the function takes anything.
    reserved = {"context"} if function.takes_context else set()
    unknown = given.keys() & reserved if function.takes_any else given.keys() - function.parameters
    if missing or unknown:
        wrong = [f"lacks {name!r}" for name in sorted(missing)] + [f"knows no {name!r}" for name in sorted(unknown)]
        raise failure("validation", f"the call of {function.name} {', '.join(wrong)}; it takes {_parameters(function)}")


def _parameters(function: Function) -> str:
    return ", ".join(sorted(function.parameters)) or "no arguments"


def _result(function: Function, output: Json) -> Json:
    """Return what a function returned as JSON has it: nothing that it goes on changing, no tuples, dates or NaN."""
    if output is None or isinstance(output, bool | int):
        return output
    try:
        return decode(encode(output))
    except (TypeError, ValueError, RecursionError) as error:
        raise failure("runtime", f"{function.name} returned what JSON cannot hold: {error}") from error
