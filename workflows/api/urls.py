"""Every path of this door. Whatever goes wrong below `/api/` is answered as a problem, never as HTML."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path, re_path
from ninja import NinjaAPI

from workflows.api import definitions, health, instances, keys, problems, queues, starts
from workflows.api.access import OPERATOR, refuse, viewers_only
from workflows.api.shortcut import shortcut

View = Callable[..., HttpResponseBase]


def _build() -> NinjaAPI:
    api = NinjaAPI(
        title="Lemline",
        version="1",
        description="Register workflow definitions, start instances of them, watch and steer those.",
        docs_decorator=viewers_only,
        urls_namespace="api",
    )
    problems.answer_errors(api)
    # Before the definitions: `…/{name}/run` would else be read as the version `run`.
    api.add_router("/workflows", starts.router)
    api.add_router("/workflows", definitions.router)
    api.add_router("/instances", instances.router)
    api.add_router("/keys", keys.router)
    api.add_router("/queues", queues.router)
    return api


def _door(view: View) -> View:
    """Answer `HEAD` as `GET`, whose body the server drops, and a wrong method as a problem."""

    @wraps(view)
    def door(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.method == "HEAD":
            request.method = "GET"
        response = view(request, *args, **kwargs)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        refusal = refuse(request)
        allowed = ", ".join(sorted(response["Allow"].split(", ")))
        return refusal if refusal is not None else problems.method_not_allowed(request, allowed)

    return door


_STARTS: dict[str, Callable[..., HttpResponse]] = {
    "workflows/<namespace>/<name>/run": starts.run_latest,
    "workflows/<namespace>/<name>/<version>/run": starts.run_version,
}


def _with_door(api: NinjaAPI, pattern: URLPattern | URLResolver) -> URLPattern | URLResolver:
    if not isinstance(pattern, URLPattern):
        return pattern
    view = _door(pattern.callback)
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
    path("api/v1/", include(([_with_door(_api, pattern) for pattern in _patterns], _app), namespace=_namespace)),
    re_path(r"^api/", viewers_only(problems.not_found)),
    *(path(prefix + route, _door(view)) for prefix in ("", "q/") for route, view in _HEALTH.items()),
]
