"""The HTTP client that activities share: one session per event loop, guarded addresses, careful redirects.

Source: docs/dsl.md 13 for problems, 48 for redirects.
"""

import asyncio
import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from workers.activities.calls import Limits, failure
from workers.activities.network import ForbiddenAddressError, Guard, GuardedResolver

REDIRECTS = 5

IDLE_SECONDS = 4.0
"""How long a connection may lie idle: less than the five seconds after which common servers close theirs, so that no
request meets a closing one. One that does is not sent twice unless its method says that this does no harm."""

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_PIECE = 64 * 1024
_CREDENTIALS = re.compile(r"auth|cookie|token|secret|signature|password|api-?key|access-?key", re.IGNORECASE)
"""Names of headers that stay with their origin."""

_OF_BODIES = ("Content-Type", "Content-Encoding", "Idempotency-Key")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request, with nothing left to decide."""

    method: str
    url: URL
    """Without user and password."""

    shown: str
    """The address for people: no query, names in the place of secrets."""

    headers: CIMultiDict[str]
    body: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    request: Request
    """The last one, after redirects."""

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def shown(address: str) -> str:
    """Return an address without user, password, query and fragment."""
    place, _, _ = address.partition("?")[0].partition("#")
    return re.sub(r"//[^/]*@", "//", place)


class HttpClient:
    """Sessions per event loop, which keep connections open."""

    def __init__(self) -> None:
        self._sessions: weakref.WeakKeyDictionary[Any, dict[Limits, aiohttp.ClientSession]]
        self._sessions = weakref.WeakKeyDictionary()
        self._guards: dict[tuple[str, ...], Guard] = {}

    async def send(self, request: Request, limits: Limits, seconds: float, follow: bool) -> Response:
        """Send a request and read the whole answer.

        Raises:
            ActivityError: `timeout` 408; `communication` when nobody answered; `configuration` for what cannot be sent.
        """
        what = f"{request.method} {request.shown}"
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(request, limits, follow)
        except aiohttp.ConnectionTimeoutError as error:
            detail = f"{what}: no connection within {limits.connect_seconds:g} s (lemline.http.connect-timeout)"
            raise failure("communication", detail, answered=False) from error
        except TimeoutError as error:
            raise failure("timeout", f"{what} took longer than it may", answered=False) from error
        except ForbiddenAddressError as error:
            raise failure("communication", str(error)) from error
        except ValueError as error:
            raise failure("configuration", f"{what} cannot be sent: {_reason(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, ForbiddenAddressError):
                raise failure("communication", str(cause)) from error
            raise failure("communication", f"{what}: {_reason(cause)}", answered=False) from error

    async def close(self) -> None:
        """Close what this event loop has open."""
        for session in self._sessions.pop(asyncio.get_running_loop(), {}).values():
            await session.close()

    def _session(self, limits: Limits) -> aiohttp.ClientSession:
        sessions = self._sessions.setdefault(asyncio.get_running_loop(), {})
        known = sessions.get(limits)
        if known is not None and not known.closed:
            return known
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=limits.connections_per_host, keepalive_timeout=IDLE_SECONDS,
            resolver=GuardedResolver(self._guard(limits), limits.connect_seconds), use_dns_cache=True, ttl_dns_cache=10,
        )  # fmt: skip
        session = sessions[limits] = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=True,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_seconds),
        )  # fmt: skip
        return session

    def _guard(self, limits: Limits) -> Guard:
        known = self._guards.get(limits.private_addresses)
        if known is None:
            known = self._guards[limits.private_addresses] = Guard(limits.private_addresses)
        return known

    async def _follow(self, request: Request, limits: Limits, follow: bool) -> Response:
        first = request
        for _ in range(REDIRECTS + 1):
            response = await self._once(request, limits)
            target = response.headers.get("Location")
            if not follow or response.status not in _FOLLOWED or not target:
                return response
            request = _redirected(request, response.status, target)
        raise failure("communication", f"{first.shown} redirects more than {REDIRECTS} times", status=502)

    async def _once(self, request: Request, limits: Limits) -> Response:
        # Addresses pass the resolver by. The host is taken as the client reads it: it knows more spellings than we do.
        host = request.url.host or ""
        if ":" in host or host.replace(".", "").isdigit():
            self._guard(limits).check(host, host)
        async with self._session(limits).request(
            request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        ) as answer:  # fmt: skip
            body = await _read(answer, limits.response_bytes)
            return Response(status=answer.status, headers=answer.headers, body=body, request=request)


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body, decompressed, up to a limit."""
    if "Content-Encoding" not in answer.headers and (answer.content_length or limit) < limit:
        return await answer.read()
    pieces = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        pieces += piece
        if len(pieces) > limit:
            raise failure("communication", f"the response is over {limit} bytes (lemline.limits.response)", status=502)
    return bytes(pieces)


def _redirected(request: Request, status: int, target: str) -> Request:
    try:
        url = request.url.join(URL(target)).with_user(None)
    except ValueError as error:
        raise failure("communication", f"{request.shown} redirects to what is no address", status=502) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise failure("communication", f"{request.shown} redirects to what is no HTTP address", status=502)
    headers = request.headers.copy()
    if url.origin() != request.url.origin():
        for name in [name for name in headers if _CREDENTIALS.search(name)]:
            del headers[name]
    moved = replace(request, url=url, shown=shown(str(url)), headers=headers)
    if request.method == "HEAD" or not (status == 303 or (status in (301, 302) and request.method == "POST")):
        return moved
    for name in _OF_BODIES:
        headers.pop(name, None)
    return replace(moved, method="GET", body=None)


def _reason(error: BaseException) -> str:
    """Return what a failure says; the client's texts about addresses repeat them, secrets included."""
    if isinstance(error, aiohttp.InvalidURL):
        return type(error).__name__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def date_of(text: str) -> datetime | None:
    """Return a date as headers have it; None for what is none."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def members_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as a workflow sees them: `Content-Type` however it was spelled, repeated ones joined by commas."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.title()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


CLIENT = HttpClient()
