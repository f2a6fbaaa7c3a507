"""Answers of HTTP services that are given again, where these allow it.

Source: RFC 9111, for a cache that belongs to one namespace and one set of credentials: what is `private` may be kept,
since the key of an answer holds every header of its request. That also answers `Vary`, but for `*`.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from datetime import UTC, datetime

from workers.activities.calls import Limits
from workers.activities.client import Request, Response, date_of

METHODS = frozenset({"GET", "HEAD"})
STATUSES = frozenset({200, 203, 204})

_FORBIDDEN = frozenset({"no-store", "no-cache"})
_DIRECTIVE = re.compile(r'([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]+)))?')


class ResponseCache:
    """What a process keeps: bounded in entries and bytes, the least recently asked for goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Response]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> Response | None:
        """Return a fresh answer."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and time.monotonic() < found[0]:
                self._kept.move_to_end(key)
                return found[1]
            self._drop(key)
            return None

    def keep(self, key: Hashable, response: Response, limits: Limits) -> None:
        """Keep an answer as long as it may be; what was kept before for the key goes in any case."""
        seconds = freshness(response, limits.cache_seconds)
        size = len(response.body)
        with self._lock:
            self._drop(key)
            if seconds <= 0 or size > limits.cache_bytes:
                return
            self._kept[key] = (time.monotonic() + seconds, response)
            self._bytes += size
            while len(self._kept) > limits.cache_entries or self._bytes > limits.cache_bytes:
                self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= len(found[1].body)


def is_cacheable(request: Request) -> bool:
    """Return whether the answer to a request may be kept and given again."""
    return (
        request.method in METHODS
        and request.body is None
        and "Range" not in request.headers
        and not _FORBIDDEN & directives(request.headers.get("Cache-Control", "")).keys()
    )


def key_of(namespace: str, request: Request) -> Hashable:
    """Return what an answer is known by: all that the service could have looked at."""
    headers = sorted((name.lower(), text) for name, text in request.headers.items())
    return namespace, request.method, str(request.url), tuple(headers)


def freshness(response: Response, most: float) -> float:
    """Return for how many seconds an answer may be given again; 0 for not at all.

    Args:
        response: The answer.
        most: What counts when the service does not say, and the most it can say.
    """
    headers = response.headers
    said = directives(", ".join(headers.getall("Cache-Control", [])))
    if response.status not in STATUSES or _FORBIDDEN & said.keys() or "*" in ",".join(headers.getall("Vary", [])):
        return 0.0
    age = _seconds(headers.get("Age", "")) or 0.0
    if "max-age" in said:
        return min(most, (_seconds(said["max-age"]) or 0.0) - age)
    if "Expires" in headers:
        # What is no date, like 0, means that it has expired.
        expires, date = date_of(headers["Expires"]), date_of(headers.get("Date", "")) or datetime.now(UTC)
        return 0.0 if expires is None else min(most, (expires - date).total_seconds() - age)
    return most


def directives(text: str) -> dict[str, str]:
    """Return what a `Cache-Control` says, names in lower case."""
    return {name.lower(): quoted or plain for name, quoted, plain in _DIRECTIVE.findall(text)}


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


RESPONSES = ResponseCache()
