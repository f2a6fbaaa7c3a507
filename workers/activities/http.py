"""`call: http`: one request on the process's event loop.

Source: DSL reference, "HTTP Call"; problems as docs/dsl.md 13, redirects as 48, keys as 45.
"""

import asyncio
import base64
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp

from workers.activities.authentication import headers_of
from workers.activities.calls import ActivityCall, ActivityResult, Limits, failure, stop
from workers.activities.network import ForbiddenAddressError, Guard, GuardedResolver
from workflows.dsl.jsontext import Json, JsonError, decode, encode

REDIRECTS = 5
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that get an `Idempotency-Key`, unless the workflow gives one."""

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_PIECE = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request, with nothing left to decide."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request: Request

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class HttpClient:
    """One session per event loop."""

    def __init__(self) -> None:
        self._sessions: weakref.WeakKeyDictionary[Any, tuple[Limits, aiohttp.ClientSession]]
        self._sessions = weakref.WeakKeyDictionary()
        self._guards: dict[tuple[str, ...], Guard] = {}

    def _session(self, limits: Limits) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        known = self._sessions.get(loop)
        if known is not None and known[0] is limits and not known[1].closed:
            return known[1]
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=limits.connections_per_host, resolver=GuardedResolver(self.guard(limits)),
            use_dns_cache=True, ttl_dns_cache=10,
        )  # fmt: skip
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=True,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_seconds),
        )  # fmt: skip
        self._sessions[loop] = (limits, session)
        return session

    def guard(self, limits: Limits) -> Guard:
        """Return the guard of these limits."""
        known = self._guards.get(limits.private_addresses)
        if known is None:
            known = self._guards[limits.private_addresses] = Guard(limits.private_addresses)
        return known

    async def send(self, request: Request, limits: Limits, seconds: float, follow: bool) -> Response:
        """Send a request and read the whole answer.

        Raises:
            ActivityError: `timeout` 408, or `communication` when nobody answered.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(request, limits, follow)
        except TimeoutError as error:
            detail = f"{request.method} {_shown(request.url)} took longer than {seconds:g} s"
            raise failure("timeout", detail, answered=False) from error
        except ForbiddenAddressError as error:
            raise failure("communication", str(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            detail = f"{request.method} {_shown(request.url)}: {type(cause).__name__}: {cause}"
            if isinstance(cause, ForbiddenAddressError):
                raise failure("communication", str(cause)) from error
            raise failure("communication", detail, answered=False) from error

    async def _follow(self, request: Request, limits: Limits, follow: bool) -> Response:
        for _ in range(REDIRECTS + 1):
            response = await self._once(request, limits)
            target = response.headers.get("location")
            if not follow or response.status not in _FOLLOWED or not target:
                return response
            request = _redirected(request, response.status, target)
        raise failure("communication", f"{_shown(request.url)} redirects more than {REDIRECTS} times", status=502)

    async def _once(self, request: Request, limits: Limits) -> Response:
        host = urlsplit(request.url).hostname or ""
        if _is_address(host):
            self.guard(limits).check(host, host.strip("[]"))
        session = self._session(limits)
        async with session.request(
            request.method, request.url, params=request.query or None, headers=request.headers, data=request.body,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            body = await _read(answer, limits.response_bytes)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(status=answer.status, headers=headers, body=body, request=request)


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body, decompressed, up to a limit."""
    pieces = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        pieces += piece
        if len(pieces) > limit:
            raise failure("communication", f"the response is over {limit} bytes (lemline.limits.response)", status=502)
    return bytes(pieces)


def _redirected(request: Request, status: int, target: str) -> Request:
    url = urljoin(request.url, target)
    headers = dict(request.headers)
    if urlsplit(url)[:2] != urlsplit(request.url)[:2]:
        headers.pop("Authorization", None)
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        headers.pop("Content-Type", None)
        return Request(method="GET", url=url, headers=headers)
    return Request(method=request.method, url=url, headers=headers, body=request.body)


def _is_address(host: str) -> bool:
    return bool(host) and (":" in host or host.replace(".", "").isdigit())


def _shown(url: str) -> str:
    """Return an address without what may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


CLIENT = HttpClient()


class HttpActivity:
    """Runs `call: http`."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Send the request that the arguments describe."""
        arguments = call.revealed()
        request = request_of(arguments, call)
        return await exchange(call, request, arguments)


async def exchange(call: ActivityCall, request: Request, arguments: Mapping[str, Json]) -> ActivityResult:
    """Send a request, honouring cancellation, and shape the answer as `output` and `redirect` say."""
    begun = time.monotonic()
    redirect = arguments.get("redirect") is True
    task = asyncio.ensure_future(
        CLIENT.send(request, call.limits, call.seconds(call.limits.http_seconds), follow=redirect)
    )
    loop = asyncio.get_running_loop()
    call.cancelled.add_callback(lambda: stop(loop, task))
    try:
        response = await task
    except asyncio.CancelledError:
        if call.cancelled.is_set():
            raise failure("runtime", "the call was cancelled", answered=False) from None
        raise
    _check_status(response, redirect)
    return ActivityResult(
        output=output_of(response, arguments.get("output")), timing={"total": time.monotonic() - begun}
    )


def _check_status(response: Response, redirect: bool) -> None:
    status = response.status
    if status < 300 or (redirect and status < 400):
        return
    shown = f"{response.request.method} {_shown(response.request.url)} answered {status}"
    said = response.body[:500].decode("utf-8", "replace")
    raise failure("communication", f"{shown}: {said}" if said else shown, status=status)


def request_of(arguments: Mapping[str, Json], call: ActivityCall) -> Request:
    """Return the request that `with` of `call: http` describes."""
    endpoint = arguments["endpoint"]
    if not isinstance(endpoint, Mapping):
        endpoint = {"uri": endpoint}
    method = str(arguments["method"]).upper()
    given = arguments.get("headers") or {}
    headers = {str(name): spelled(value) for name, value in given.items() if value is not None}
    headers.update(headers_of(endpoint.get("authentication")))
    body = body_of(arguments.get("body"), headers) if "body" in arguments else None
    return Request(
        method=method,
        url=address_of(endpoint.get("uri")),
        headers=with_defaults(headers, method, call),
        query=query_of(arguments.get("query") or {}),
        body=body,
    )


def address_of(uri: Json) -> str:
    """Return a URI after a look at it."""
    if not isinstance(uri, str) or not uri.startswith(("http://", "https://")):
        raise failure("configuration", f"an endpoint is an http or https URI, not {spelled(uri)[:200]}")
    return uri


def with_defaults(headers: dict[str, str], method: str, call: ActivityCall) -> dict[str, str]:
    """Return the headers with those that every call has."""
    names = {name.lower() for name in headers}
    if "user-agent" not in names:
        headers["User-Agent"] = call.limits.user_agent
    if method in UNSAFE and "idempotency-key" not in names:
        headers["Idempotency-Key"] = call.idempotency_key
    return headers


def query_of(query: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Return a query's pairs: an array repeats its name, null leaves it out."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        pairs.extend((name, spelled(each)) for each in values if each is not None)
    return tuple(pairs)


def body_of(body: Json, headers: dict[str, str]) -> bytes | None:
    """Return the bytes of a body: a text as it is when a content type says so, anything else as JSON."""
    if body is None:
        return None
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if isinstance(body, str) and kind and "json" not in kind:
        return body.encode()
    if "x-www-form-urlencoded" in kind and isinstance(body, Mapping):
        return urlencode({name: spelled(value) for name, value in body.items()}).encode()
    if not kind:
        headers["Content-Type"] = "application/json"
    return encode(body)


def spelled(value: Json) -> str:
    """Return a value as it stands in a header or a query."""
    return value if isinstance(value, str) else encode(value).decode()


def output_of(response: Response, form: Json) -> Json:
    """Return the answer as `raw` (base64), `content` (default) or `response`."""
    match form:
        case "raw":
            return base64.b64encode(response.body).decode()
        case "response":
            return {
                "request": {
                    "method": response.request.method.lower(),
                    "uri": response.request.url,
                    "headers": {
                        name: value for name, value in response.request.headers.items() if name != "Authorization"
                    },
                },
                "statusCode": response.status,
                "headers": dict(response.headers),
                "content": content_of(response),
            }
        case _:
            return content_of(response)


def content_of(response: Response) -> Json:
    """Return the body as JSON, text, or base64 when it is neither; null when there is none."""
    if not response.body:
        return None
    kind = response.media_type
    if kind == "application/json" or kind.endswith("+json"):
        return _json(response)
    try:
        text = response.body.decode(_charset(response))
    except (UnicodeDecodeError, LookupError):
        return base64.b64encode(response.body).decode()
    if not kind and text[:1] in "{[":
        try:
            return decode(text)
        except JsonError:
            return text
    return text


def _json(response: Response) -> Json:
    try:
        return decode(response.body)
    except JsonError as error:
        shown = _shown(response.request.url)
        raise failure("communication", f"{shown} says it answers JSON, but: {error}", status=502) from error


def _charset(response: Response) -> str:
    _, _, rest = response.headers.get("content-type", "").partition("charset=")
    return rest.partition(";")[0].strip().strip('"') or "utf-8"
