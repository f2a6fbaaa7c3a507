"""Requests that bring an API key go straight to their view: no session, CSRF token, message or form is theirs."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve


class KeysFirst:
    """Stands before the session's middleware, which would cost each of those requests as much as its view does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Resolve and call the view; below `/api/` every path has one."""
        if not request.META.get("HTTP_AUTHORIZATION") or not request.path_info.startswith("/api/"):
            return self._get_response(request)
        request.resolver_match = match = resolve(request.path_info)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response
