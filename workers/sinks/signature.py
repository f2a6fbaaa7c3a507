"""Signatures of what is sent over HTTP, after Standard Webhooks (https://www.standardwebhooks.com)."""

import hashlib

from workers.sinks.sender import AwayError
from workflows.dsl.jsontext import Json, encode
from workflows.runtime.signatures import SCHEMES, keys_of, sign

_SCHEME = SCHEMES["standard-webhooks"]


def signed(secret: Json, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that say who sent a body.

    Args:
        secret: `whsec_` and base64, or any text; a list of them signs with each, while one is replaced by another.
        message_id: The same for the same event, however often it is sent.
        timestamp: Seconds since 1970.
        body: What is signed.

    Raises:
        AwayError: The secret is none that signs: once it is, all goes on.
    """
    try:
        keys = keys_of(secret)
    except ValueError as error:
        raise AwayError(str(error)) from None
    at = str(timestamp)
    made = (sign(_SCHEME, key, body, timestamp=at, message_id=message_id) for key in keys)
    return {
        _SCHEME.id_header: message_id,
        _SCHEME.timestamp_header: at,
        _SCHEME.header: _SCHEME.separator.join(made),
    }


def id_of(source: str, event_id: str) -> str:
    """Return what stands for an event in headers: its own id may have any characters, and counts within its source."""
    return f"msg_{hashlib.sha256(encode([source, event_id])).hexdigest()[:32]}"
