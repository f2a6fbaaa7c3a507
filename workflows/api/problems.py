"""What a caller is told when it did not work: RFC 7807 bodies, and the table from error to status."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError

from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json
from workflows.runtime import errors, outages

log = logging.getLogger(__name__)


class ForbiddenError(errors.LemlineError):
    """The caller is known, but its role is too low; the message names the one it takes."""


STATUSES: Mapping[type[Exception], int] = {
    errors.InvalidRequestError: 400,
    UnreadablePostError: 400,
    ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.OperationRefusedError: 409,
    errors.TooLargeError: 413,
    errors.OverloadedError: 429,
    errors.UnavailableError: 503,
    **dict.fromkeys(outages.OUTAGES, 503),
}
"""Error to HTTP status. `DefinitionError` joins it in `answer_errors`; anything else is 500."""

EXPECTED = tuple(STATUSES)

Raised = Exception | type[Exception]
"""What the framework hands to its handlers, as it types them."""

RETRY_AFTER_SECONDS = errors.UnavailableError.retry_after_seconds


def problem(
    request: HttpRequest,
    status: int,
    detail: str,
    *,
    errors: Sequence[Mapping[str, object]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return an `application/problem+json` answer; `instance` is the path that was asked for."""
    body: dict[str, Json] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.path,
    }
    if errors:
        body["errors"] = [dict(error) for error in errors]
    return HttpResponse(jsontext.encode(body), status=status, content_type="application/problem+json", headers=headers)


def answer_errors(api: NinjaAPI) -> None:
    """Give every error that an operation raises its answer."""
    from workflows.dsl import DefinitionError

    for error in (*STATUSES, DefinitionError):
        api.add_exception_handler(error, of_error)
    api.add_exception_handler(AuthenticationError, unauthorized)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(Exception, _failed)


def unauthorized(request: HttpRequest, exception: object = None) -> HttpResponse:
    """Say that credentials are needed, and which."""
    detail = "Send `Authorization: Bearer <API key>` with a valid key, or log in at /admin/."
    return problem(request, 401, detail, headers={"WWW-Authenticate": 'Bearer realm="lemline"'})


def method_not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    """Say which methods this path takes."""
    detail = f"{request.method} is not possible here; allowed: {allowed}."
    return problem(request, 405, detail, headers={"Allow": allowed})


def not_found(request: HttpRequest, exception: object = None) -> HttpResponse:
    """Say that there is nothing at this path. Also Django's `handler404`."""
    return problem(request, 404, f"There is nothing at {request.path}; see /api/v1/docs for what there is.")


def failed(request: HttpRequest) -> HttpResponse:
    """Say that the fault is ours, and nothing else. Also Django's `handler500`."""
    return problem(request, 500, "Something went wrong on our side; the log of the server says what.")


def of_error(request: HttpRequest, error: Raised) -> HttpResponse:
    """Return the answer to an error of the table."""
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 400)
    if status == 503:
        return _unavailable(request, error)
    details = [_as_object(item) for item in getattr(error, "errors", ())]
    retry_after = getattr(error, "retry_after_seconds", None)
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    return problem(request, status, str(error), errors=details, headers=headers)


def _unavailable(request: HttpRequest, error: Raised) -> HttpResponse:
    if isinstance(error, errors.UnavailableError):
        detail = str(error)
    elif isinstance(error, Exception) and outages.is_outage(error):
        detail = outages.advice(error)
    else:
        return _failed(request, error)
    log.warning("api.unavailable", extra={"path": request.path, "error": str(error)})
    seconds = getattr(error, "retry_after_seconds", RETRY_AFTER_SECONDS)
    return problem(request, 503, f"{detail}. Try again in {seconds} s.", headers={"Retry-After": str(seconds)})


def _invalid(request: HttpRequest, error: Raised) -> HttpResponse:
    details = [explain(item) for item in getattr(error, "errors", ())]
    named = "; ".join(f"{item.get('parameter') or item.get('pointer')}: {item['message']}" for item in details)
    return problem(request, 400, f"The request cannot be read: {named}.", errors=details)


def _failed(request: HttpRequest, error: Raised) -> HttpResponse:
    log.error("api.failed", extra={"path": request.path, "method": request.method}, exc_info=_exception(error))
    return failed(request)


def _exception(error: Raised) -> BaseException | None:
    return error if isinstance(error, BaseException) else None


def explain(item: Mapping[str, Json]) -> dict[str, Json]:
    """Return one of pydantic's errors in our shape: `parameter` or `pointer`, and a `message`."""
    source, *path = item["loc"]
    message = item["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if source == "body":
        return {"pointer": "".join(f"/{part}" for part in path), "message": message}
    names = [part for part in path if isinstance(part, str)]
    return {"parameter": names[-1] if names else source, "message": message}


def _as_object(item: object) -> Mapping[str, object]:
    if isinstance(item, Mapping):
        return item
    to_json = getattr(item, "to_json", None)
    return to_json() if callable(to_json) else {"message": str(item)}
