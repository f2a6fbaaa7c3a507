"""Every path of this door. Whatever goes wrong below `/api/` is answered as a problem, never as HTML."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from workflows.api import (
    approvals,
    dead_letters,
    definitions,
    events,
    health,
    instances,
    keys,
    problems,
    queues,
    schedules,
    sinks,
    starts,
    streams,
    webhooks,
)
from workflows.api.access import OPERATOR, refuse, viewers_only
from workflows.api.page import Page
from workflows.api.shortcut import shortcut

View = Callable[..., HttpResponseBase]


def _build() -> NinjaAPI:
    api = NinjaAPI(
        title="Lemline",
        version="1",
        description="Register workflow definitions, start instances of them, watch and steer those.",
        docs=Page(),
        docs_decorator=viewers_only,
        urls_namespace="api",
    )
    problems.answer_errors(api)
    # Before the definitions: `…/{name}/run` would else be read as the version `run`.
    api.add_router("/workflows", starts.router)
    api.add_router("/workflows", definitions.router)
    api.add_router("/instances", instances.router)
    api.add_router("/dead-letters", dead_letters.router)
    api.add_router("/events", events.router)
    api.add_router("/events/stream", streams.router)
    api.add_router("/keys", keys.router)
    api.add_router("/queues", queues.router)
    api.add_router("/schedules", schedules.router)
    api.add_router("/sinks", sinks.router)
    api.add_router("/approvals", approvals.router)
    api.add_router("/webhooks", webhooks.router)
    api.add_router("/hooks", webhooks.hooks_router)
    return api


def _door(view: View) -> View:
    """Answer `HEAD` as `GET` without its body, a wrong method as a problem, and a NUL in the path as nothing there."""

    @csrf_exempt  # Whose session it is, the access rule asks for the token, and answers with a problem.
    @wraps(view)
    def door(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if "\x00" in request.path_info:
            return refuse(request) or problems.not_found(request)
        is_head = request.method == "HEAD"
        if is_head:
            request.method = "GET"
        response = view(request, *args, **kwargs)
        if isinstance(response, HttpResponseNotAllowed):
            response = _not_allowed(request, response["Allow"].split(", "))
        return _without_body(response) if is_head else response

    return door


def _not_allowed(request: HttpRequest, methods: list[str]) -> HttpResponse:
    allowed = {*methods, *(("HEAD",) if "GET" in methods else ())}
    return refuse(request) or problems.method_not_allowed(request, ", ".join(sorted(allowed)))


def _without_body(response: HttpResponseBase) -> HttpResponseBase:
    """Servers send what they are given: after an answer to `HEAD` it would be read as the next answer."""
    if isinstance(response, StreamingHttpResponse):
        # What it would tell is not begun, and so holds nothing for longer than this answer.
        response.streaming_content = ()
    if isinstance(response, HttpResponse):
        response["Content-Length"] = str(len(response.content))
        response.content = b""
    return response


def _get_only(view: View) -> View:
    @wraps(view)
    def only(request: HttpRequest) -> HttpResponseBase:
        return view(request) if request.method == "GET" else problems.method_not_allowed(request, "GET, HEAD")

    return only


_nothing: View = viewers_only(problems.not_found)

_STARTS: dict[str, Callable[..., HttpResponse]] = {
    "workflows/<namespace>/<name>/run": starts.run_latest,
    "workflows/<namespace>/<name>/<version>/run": starts.run_version,
}


def _with_door(api: NinjaAPI, pattern: URLPattern | URLResolver) -> URLPattern | URLResolver:
    if not isinstance(pattern, URLPattern):
        return pattern
    # The framework's root has no access rule, and nothing is on it.
    view = _door(_nothing if pattern.name == "api-root" else pattern.callback)
    start = _STARTS.get(str(pattern.pattern))
    if start is not None:
        view = shortcut(api, view, start, OPERATOR)
    return URLPattern(pattern.pattern, view, pattern.default_args, pattern.name)


_api = _build()
_patterns, _app, _namespace = _api.urls


_HEALTH: dict[str, View] = {
    "health": health.health,
    "health/live": health.live,
    "health/liveness": health.live,
    "health/ready": health.ready,
    "health/readiness": health.ready,
    "metrics": viewers_only(health.metrics),
}

urlpatterns = [
    # Not the id of an instance.
    path("api/v1/instances/bulk", _door(_nothing)),
    path("api/v1/", include(([_with_door(_api, pattern) for pattern in _patterns], _app), namespace=_namespace)),
    re_path(r"^api/", _door(_nothing)),
    *(path(prefix + route, _door(_get_only(view))) for prefix in ("", "q/") for route, view in _HEALTH.items()),
]
