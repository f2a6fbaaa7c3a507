"""Who may: an API key or a Django session, and the role that a route asks for."""

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from workflows.api import problems
from workflows.api.problems import ForbiddenError
from workflows.runtime import accounts
from workflows.runtime.accounts import Identity
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.operations import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sent this request."""

    identity: Identity
    actor: Actor
    """The same for the operations."""


class ApiKeyOrSession(AuthBase):
    """Admits whoever has at least one role: by `Authorization: Bearer <key>`, else by session."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "An API key. In a browser, the session of the admin pages counts as well."

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role

    def __call__(self, request: HttpRequest) -> Caller | None:
        """Return the caller, or None when nobody is known by these credentials.

        Raises:
            ForbiddenError: The caller is known, but the role is too low.
        """
        identity = _identify(request)
        if identity is None:
            return None
        require(identity, self.role)
        actor = Actor(name=identity.name, door="api", namespaces=identity.namespaces, is_admin=identity.may("admin"))
        return Caller(identity=identity, actor=actor)


VIEWER = ApiKeyOrSession("viewer")
OPERATOR = ApiKeyOrSession("operator")
EDITOR = ApiKeyOrSession("editor")
ADMIN = ApiKeyOrSession("admin")


def require(identity: Identity, role: str) -> None:
    """Raise `ForbiddenError` unless the identity has this role."""
    if not identity.may(role):
        raise ForbiddenError(f"This takes the role {role}; {identity.name} has {identity.role}.")


def caller_of(request: HttpRequest) -> Caller:
    """Return who was admitted to this request."""
    caller = getattr(request, "auth", None)
    if not isinstance(caller, Caller):
        raise TypeError("the route has no access rule")
    return caller


def actor_of(request: HttpRequest) -> Actor:
    """Return on whose behalf the operations of this request run."""
    return caller_of(request).actor


def viewers_only(view: "Callable[..., HttpResponseBase]") -> "Callable[..., HttpResponseBase]":
    """Guard a plain view with what guards the routes: 401 without credentials."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        refusal = refuse(request)
        return refusal if refusal is not None else view(request, *args, **kwargs)

    return guarded


def refuse(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to somebody who may not even look, or None."""
    try:
        return None if VIEWER(request) else problems.unauthorized(request)
    except problems.EXPECTED as error:
        return problems.of_error(request, error)


def _identify(request: HttpRequest) -> Identity | None:
    """A header that is there but wrong is never made good by a session."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if header:
        scheme, _, text = header.partition(" ")
        return accounts.identify(text.strip()) if scheme.lower() == "bearer" else None
    identity = accounts.identity_of(request.user)
    if identity is not None and request.method not in _SAFE_METHODS:
        _check_csrf(request)
    return identity


def _check_csrf(request: HttpRequest) -> None:
    """A browser sends its session to whoever asks, so what changes something needs the token too."""
    if (request.content_type or "").startswith("multipart/"):
        raise InvalidRequestError("A multipart body is not read here; send JSON.")
    if check_csrf(request) is not None:
        raise ForbiddenError("With a session, send the CSRF token as X-CSRFToken; with an API key none is needed.")
