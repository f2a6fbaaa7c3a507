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


def of_events(keys: Sequence[tuple[str, str]]) -> str:
    """Return the cause that CloudEvents are which are taken together.

    Args:
        keys: Scope and source, then id, of each in the order of arrival.
    """
    told = "\x00".join(part for key in keys for part in key)
    return f"events {hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()}"
