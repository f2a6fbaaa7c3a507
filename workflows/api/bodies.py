"""Requests and answers as bytes: bodies within their limit, JSON exactly as it was written."""

from collections.abc import Mapping
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ValidationError

from workflows.api.problems import explain
from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json
from workflows.runtime.errors import InvalidRequestError, TooLargeError
from workflows.runtime.json_texts import read_json

Body = TypeVar("Body", bound=BaseModel)


def read_body(request: HttpRequest, limit_bytes: int, limit_key: str) -> bytes:
    """Return the body; one over the limit is refused before more than the limit was read.

    Raises:
        TooLargeError: Over the limit.
        InvalidRequestError: The body is shorter than announced, or of a length that the server hides.
    """
    announced = request.META.get("CONTENT_LENGTH") or ""
    too_large = TooLargeError(f"The body is over the limit of {limit_bytes} bytes (`{limit_key}`).")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise too_large
    if not announced and "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        body = _read_chunked(request, limit_bytes)
    else:
        body = request.read(limit_bytes + 1)
        if announced.isdecimal() and len(body) < int(announced):
            raise InvalidRequestError(f"The body ended after {len(body)} of {announced} bytes.")
    if len(body) > limit_bytes:
        raise too_large
    return body


def _read_chunked(request: HttpRequest, limit_bytes: int) -> bytes:
    """Django reads nothing of a body without length, which would make an empty input of it."""
    if not request.META.get("wsgi.input_terminated"):
        raise InvalidRequestError("This server needs a Content-Length; send the body in one piece.")
    body: bytes = request.META["wsgi.input"].read(limit_bytes + 1)
    return body


def check_json(text: bytes) -> Json:
    """Return the value of a body.

    Raises:
        InvalidRequestError: It is not JSON; `errors` says where.
    """
    return read_json(text, "The body")


def parse(body: Json, schema: type[Body]) -> Body:
    """Return a JSON value as the object that a route takes.

    Raises:
        InvalidRequestError: With one entry per mistake.
    """
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        details = [explain({**item, "loc": ("body", *item["loc"])}) for item in error.errors(include_url=False)]
        named = "; ".join(f"{item['pointer'] or 'the body'}: {item['message']}" for item in details)
        raise InvalidRequestError(f"The body cannot be read: {named}.", errors=tuple(details)) from error


def read_as(
    request: HttpRequest, schema: type[Body], limit_bytes: int, limit_key: str, *, may_be_empty: bool = False
) -> Body:
    """Return a body of JSON as the object that a route takes.

    Args:
        request: Whose body is read.
        schema: What it has to be.
        limit_bytes: Of the body.
        limit_key: What sets the limit; `fixed` for nothing.
        may_be_empty: Whether no body is an object without members.

    Raises:
        TooLargeError: Over the limit.
        InvalidRequestError: It is not JSON, or something else; `errors` says where.
    """
    text = read_body(request, limit_bytes, limit_key)
    return parse(check_json(b"{}" if may_be_empty and not text else text), schema)


def answer(value: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return JSON with every number as it was given."""
    return HttpResponse(jsontext.encode(value), status=status, content_type="application/json", headers=headers)


def no_content() -> HttpResponse:
    """Return an answer without a body, and so without a type of it."""
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response
