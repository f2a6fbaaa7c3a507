"""What a `catch` catches, and when its retry comes.

Source: DSL reference, "Catch" and "Retry". It names the backoffs and gives no formula; the formulas
are in `docs/dsl.md`, rules 12 and 16 to 20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from workflows.dsl.expression import Literal, Template
from workflows.dsl.jsontext import Json
from workflows.dsl.model import Catch, RetryPolicy
from workflows.engine.problems import ALIAS_BASE, BASE, ProblemError, problem
from workflows.engine.scope import Scope


def catches(scope: Scope, catch: Catch, error: Json) -> bool:
    """Return whether a problem is caught. The scope binds the error variable. Raises ProblemError."""
    if catch.errors is not None and not _matches(scope, catch.errors, error):
        return False
    if catch.when is not None and not scope.test(catch.when, error):
        return False
    return catch.except_when is None or not scope.test(catch.except_when, error)


def next_attempt(scope: Scope, policy: RetryPolicy, retry: int, described: Json) -> datetime | None:
    """Return when to try again, at the earliest now; None when the policy allows no further retry.

    Args:
        scope: The `try`'s, binding the error variable.
        policy: The `retry` of its `catch`.
        retry: Number of the coming retry, counted from 1.
        described: The problem as expressions see it.

    Raises:
        ProblemError: An expression failed or gave no duration.
    """
    if policy.limit_count is not None and retry > policy.limit_count:
        return None
    if policy.when is not None and not scope.test(policy.when, described):
        return None
    if policy.except_when is not None and scope.test(policy.except_when, described):
        return None
    try:
        due_at = scope.at + _delay(scope, policy, retry)
    except OverflowError as error:
        raise ProblemError(problem("expression", f"the delay of retry {retry} leads beyond the year 9999")) from error
    if policy.limit_duration is not None:
        limit = scope.state.waits.get(f"{scope.id}.limit")
        if limit is None or limit.due_at is None or due_at >= limit.due_at:
            return None
    return due_at


def _delay(scope: Scope, policy: RetryPolicy, retry: int) -> timedelta:
    delay = scope.duration(policy.delay) if policy.delay is not None else timedelta()
    try:
        delay = _backed_off(scope, policy, delay, retry)
    except OverflowError:
        delay = timedelta.max
    if policy.max_delay is not None:
        delay = min(delay, scope.duration(policy.max_delay))
    if policy.jitter_from is None or policy.jitter_to is None:
        return delay
    low, high = scope.duration(policy.jitter_from), scope.duration(policy.jitter_to)
    return delay + low + (high - low) * fraction_of(f"{scope.state.instance_id}:{scope.id}:{retry}")


def _backed_off(scope: Scope, policy: RetryPolicy, delay: timedelta, retry: int) -> timedelta:
    match policy.backoff:
        case "linear" if policy.increment is not None:
            return delay + scope.duration(policy.increment) * (retry - 1)
        case "linear":
            return delay * retry
        case "exponential":
            return delay * float(policy.multiplier) ** (retry - 1)
        case _:
            return delay


def fraction_of(seed: str) -> float:
    """Return a number from 0 up to 1 that depends on the seed alone: a replay waits as long as the first run."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6], "big") / 2**48


def _matches(scope: Scope, filters: Mapping[str, Template], error: Json) -> bool:
    return all(_holds(scope, name, wanted, error) for name, wanted in filters.items())


def _holds(scope: Scope, name: str, wanted: Template, error: Json) -> bool:
    """Compare one member; `details`, as the schema spells it, is `detail`."""
    found = error.get("detail" if name == "details" else name)
    if isinstance(wanted, Literal):
        return _same(name, wanted.value, found)
    value = scope.render(wanted, found)
    return value if isinstance(value, bool) else _same(name, value, found)


def _same(name: str, wanted: Json, found: Json) -> bool:
    if name == "type" and isinstance(wanted, str) and isinstance(found, str):
        return _canonical(wanted) == _canonical(found)
    if name == "status" and isinstance(wanted, str):
        return wanted == str(found)
    return bool(wanted == found)


def _canonical(uri: str) -> str:
    """The specification's features spell the base of its error types in a second way."""
    return BASE + uri.removeprefix(ALIAS_BASE) if uri.startswith(ALIAS_BASE) else uri
