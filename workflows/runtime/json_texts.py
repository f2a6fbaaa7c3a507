"""JSON texts that somebody sent: their value, or where they go wrong."""

import re

from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json
from workflows.runtime.errors import InvalidRequestError

_BYTE = re.compile(r"\s*\(byte (\d+)\)")


def read_json(text: bytes, what: str, pointer: str = "") -> Json:
    """Return the value of a text.

    Args:
        text: As it was sent.
        what: What the text is to its sender, as a sentence begins: `The body`.
        pointer: Where it stands in what was sent.

    Raises:
        InvalidRequestError: It is not JSON; `errors` says where.
    """
    try:
        return jsontext.decode(text)
    except jsontext.JsonError as error:
        raise _not_json(text, what, pointer, str(error)) from error


def _not_json(text: bytes, what: str, pointer: str, message: str) -> InvalidRequestError:
    match = _BYTE.search(message)
    found: dict[str, object] = {"pointer": pointer, "message": _BYTE.sub("", message)}
    if match is None:
        return InvalidRequestError(f"{what} is not JSON: {found['message']}.", errors=(found,))
    before = text[: int(match[1])]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    detail = f"{what} is not JSON: {found['message']}, line {line}, column {column}."
    return InvalidRequestError(detail, errors=({**found, "line": line, "column": column},))
