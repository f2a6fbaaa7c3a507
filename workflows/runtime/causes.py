"""What a start by a schedule happens for, as a text that is the same for everybody who sees it: it is started once."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime


def of_time(due_at: datetime) -> str:
    """Return the cause that a due time is, be it on time, caught up with or backfilled."""
    return due_at.astimezone(UTC).isoformat(timespec="microseconds")


def of_request(key: str) -> str:
    """Return the cause that somebody's request is, known by a key of theirs or one of ours."""
    return f"request {hashlib.sha256(key.encode()).hexdigest()}"


def of_events(keys: Sequence[str]) -> str:
    """Return the cause that CloudEvents are which are taken together, by their keys in the order of arrival."""
    return f"events {hashlib.sha256(''.join(keys).encode()).hexdigest()}"


def key_of(scope: str, source: str, identifier: str) -> str:
    """Return what a CloudEvent is known by: a hash of what makes it unique."""
    return hashlib.sha256("\x00".join((scope, source, identifier)).encode("utf-8", "replace")).hexdigest()
