"""Signatures of what is sent over HTTP, after Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac

from workers.sinks.sender import AwayError
from workflows.dsl.jsontext import Json, encode

_PREFIX = "whsec_"


def signed(secret: Json, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that say who sent a body.

    Args:
        secret: `whsec_` and base64, or any text; a list of them signs with each, while one is replaced by another.
        message_id: The same for the same event, however often it is sent.
        timestamp: Seconds since 1970.
        body: What is signed.
    """
    keys = secret if isinstance(secret, list) else [secret]
    text = f"{message_id}.{timestamp}.".encode() + body
    made = (base64.b64encode(hmac.digest(_key(key), text, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
    }


def id_of(source: str, event_id: str) -> str:
    """Return what stands for an event in headers: its own id may have any characters, and counts within its source."""
    return f"msg_{hashlib.sha256(encode([source, event_id])).hexdigest()[:32]}"


def _key(secret: Json) -> bytes:
    if not isinstance(secret, str) or not secret:
        raise AwayError("the secret that signs must be a text, or a list of texts")
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise AwayError(f"the secret that signs begins with {_PREFIX}, and what follows is no base64") from None
