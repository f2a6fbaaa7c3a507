"""`call: http`: one request on the process's event loop.

Source: DSL reference, "HTTP Call"; problems as docs/dsl.md 13, redirects as 48, keys as 45.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote, urlencode

from multidict import CIMultiDict
from yarl import URL

from workers.activities.authentication import headers_of, the_basic
from workers.activities.calls import ActivityCall, ActivityResult, failure, members, required, stop
from workers.activities.client import CLIENT, Request, Response, members_of, shown
from workers.activities.response_cache import RESPONSES, is_cacheable, key_of
from workflows.dsl.jsontext import Json, JsonError, decode, encode

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that get an `Idempotency-Key`, unless the workflow gives one."""

_OURS = ("Content-Length", "Transfer-Encoding")
"""Headers that follow from the body, whatever a workflow says."""

_BOM = b"\xef\xbb\xbf"


class HttpActivity:
    """Runs `call: http`."""

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Send the request that the arguments describe."""
        arguments = call.revealed()
        request = request_of(arguments, call)
        public = request if arguments == call.arguments else request_of(call.redacted(), call)
        return await exchange(call, request, public, endpoint_of(required(arguments, "endpoint")).get("authentication"))


async def exchange(call: ActivityCall, request: Request, public: Request, policy: Json) -> ActivityResult:
    """Send a request, honouring cancellation, and shape the answer as `output` and `redirect` say.

    Args:
        call: What wants it.
        request: What is sent.
        public: The same with names in the place of secrets.
        policy: Adds the credentials.
    """
    redirect = call.arguments.get("redirect") is True
    if policy is not None or public is not request:
        request = replace(request, shown=public.shown, headers=CIMultiDict({**request.headers, **headers_of(policy)}))
    response = await answered(call, request, follow=redirect)
    status = response.status
    if status >= 400 or (status >= 300 and not redirect):
        said = response.body[:500].decode("utf-8", "replace")
        detail = f"{response.request.method} {response.request.shown} answered {status}"
        raise failure("communication", f"{detail}: {said}" if said else detail, status=status)
    return ActivityResult(output_of(response, call.arguments.get("output"), request, public))


async def answered(call: ActivityCall, request: Request, follow: bool) -> Response:
    """Return what was answered before and may be given again, or what is answered now."""
    limits = call.limits
    if not limits.cache_entries or not is_cacheable(request):
        return await sent(call, request, follow)
    key = key_of(call.definition[0], request)
    known = RESPONSES.get(key) if call.attempt == 1 else None
    if known is not None:
        return replace(known, request=request)
    response = await sent(call, request, follow)
    # What a redirect led to is the answer to another request.
    if response.request is request:
        RESPONSES.keep(key, response, limits)
    return response


async def sent(call: ActivityCall, request: Request, follow: bool) -> Response:
    """Send a request until somebody answers, the time is up, or nobody waits any more."""
    seconds = call.seconds(call.limits.http_seconds)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "an activity runs as a task"
    call.cancelled.add_callback(lambda: stop(loop, task))
    try:
        return await CLIENT.send(request, call.limits, seconds, follow)
    except asyncio.CancelledError:
        if call.cancelled.is_set():
            task.uncancel()
            raise failure("runtime", "the call was cancelled", answered=False) from None
        raise


async def fetch(call: ActivityCall, endpoint: Json, public: Json) -> bytes:
    """Return what is at the endpoint of an external resource; `public` has names in the place of secrets."""
    endpoint = endpoint_of(endpoint)
    request = built("GET", endpoint.get("uri"), call, CIMultiDict(headers_of(endpoint.get("authentication"))))
    request = replace(request, shown=shown(spelled(endpoint_of(public).get("uri"))))
    response = await sent(call, request, follow=True)
    if response.status >= 300:
        raise failure("communication", f"{request.shown} answered {response.status}", status=response.status)
    return response.body


def request_of(arguments: Mapping[str, Json], call: ActivityCall) -> Request:
    """Return the request that `with` of `call: http` describes, without the credentials of its policy."""
    endpoint, method = required(arguments, "endpoint"), str(required(arguments, "method")).upper()
    given = members(arguments.get("headers"), "headers")
    headers = CIMultiDict({str(name): spelled(value) for name, value in given.items() if value is not None})
    body = body_of(arguments.get("body"), headers)
    query = pairs_of(members(arguments.get("query"), "query parameters"))
    return built(method, endpoint_of(endpoint).get("uri"), call, headers, query, body)


def endpoint_of(endpoint: Json) -> Mapping[str, Json]:
    """Return an endpoint as an object."""
    return endpoint if isinstance(endpoint, Mapping) else {"uri": endpoint}


def built(
    method: str,
    uri: Json,
    call: ActivityCall,
    headers: CIMultiDict[str],
    query: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
) -> Request:
    """Return a request with the headers that every call has."""
    url = address_of(uri)
    if url.user is not None:
        headers.setdefault("Authorization", the_basic(url.user, url.password or ""))
        url = url.with_user(None)
    headers.setdefault("User-Agent", call.limits.user_agent)
    if method in UNSAFE:
        headers.setdefault("Idempotency-Key", call.idempotency_key)
    for name in _OURS:
        headers.popall(name, None)
    return Request(
        method=method,
        url=url.extend_query(query) if query else url,
        shown=shown(unquote(str(url))),
        headers=headers,
        body=body,
    )


def address_of(uri: Json) -> URL:
    """Return an address after a look at it. ActivityError (`configuration`) when it is none."""
    try:
        url = URL(uri) if isinstance(uri, str) else URL()
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise failure("configuration", f"an endpoint is an http or https URI, not {shown(spelled(uri))[:200]}")
    return url


def pairs_of(query: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Return the pairs of a query or a form: an array repeats its name, null leaves it out."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        pairs.extend((name, spelled(each)) for each in values if each is not None)
    return pairs


def body_of(body: Json, headers: CIMultiDict[str]) -> bytes | None:
    """Return the bytes of a body: a text as it is when a content type says so, anything else as JSON."""
    if body is None:
        return None
    kind = headers.get("Content-Type", "")
    if isinstance(body, str) and kind and "json" not in kind:
        return body.encode()
    if "x-www-form-urlencoded" in kind and isinstance(body, Mapping):
        return urlencode(pairs_of(body)).encode()
    headers.setdefault("Content-Type", "application/json")
    return encode(body)


def spelled(value: Json) -> str:
    """Return a value as it stands in a header or a query."""
    return value if isinstance(value, str) else encode(value).decode()


def output_of(response: Response, form: Json, request: Request, public: Request) -> Json:
    """Return the answer as `raw` (base64), `content` (default) or `response`; null for what is empty."""
    match form:
        case "raw":
            return base64.b64encode(response.body).decode() if response.body else None
        case "response":
            return {
                "request": _seen(response.request, request, public),
                "statusCode": response.status,
                "headers": members_of(response.headers),
                "content": content_of(response),
            }
        case _:
            return content_of(response)


def _seen(last: Request, first: Request, public: Request) -> Json:
    """Return the last request as a workflow may see it: its state must hold neither credentials nor secrets."""
    sent = members_of(last.headers)
    headers = {name: text for name, text in members_of(public.headers).items() if name in sent}
    headers.pop("Authorization", None)
    url = str(last.url) if public.url == first.url else unquote(str(public.url))
    return {"method": last.method.lower(), "uri": url, "headers": headers}


def content_of(response: Response) -> Json:
    """Return the body as JSON, text, or base64 when it is neither; null when there is none."""
    if not response.body:
        return None
    kind = response.media_type
    is_json = kind == "application/json" or kind.endswith("+json")
    try:
        text = response.body.removeprefix(_BOM).decode(_charset(response))
    except (ValueError, LookupError):
        text = None
    if is_json or (not kind and text is not None and text[:1] in "{["):
        try:
            return decode(response.body if text is None else text)
        except JsonError as error:
            if is_json:
                detail = f"{response.request.shown} says it answers JSON, but: {error}"
                raise failure("communication", detail, status=502) from error
    return base64.b64encode(response.body).decode() if text is None else text


def _charset(response: Response) -> str:
    for parameter in response.headers.get("Content-Type", "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'")
    return "utf-8"
