"""Signatures of webhooks: how senders sign what they post, and whether a request is signed so.

Every sender signs with a keyed hash (HMAC). They differ in where it stands, how it is spelled and what is signed; a
`Scheme` says that. Those of well-known senders have names (`SCHEMES`).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from workflows.dsl.jsontext import Json

ALGORITHMS = ("sha256", "sha1", "sha512")
ENCODINGS = ("hex", "base64")
PLACES = ("body", "timestamp", "id")
"""What may be signed: `{body}`, `{timestamp}` and `{id}` within `Scheme.signed`."""

_PLACE = re.compile(r"\{(\w*)\}")
_STANDARD_PREFIX = "whsec_"
"""How a secret of Standard Webhooks begins; the rest is the key in base64."""


class SignatureError(Exception):
    """The request is not signed as the webhook asks; the message says what is missing or wrong, and no secret."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a sender signs."""

    header: str
    """Where the signature stands."""

    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    """What stands before a signature, `sha256=`; what has another prefix is not one."""

    separator: str = ""
    """What stands between several signatures, of which one has to match; empty where there is only one."""

    signed: str = "{body}"
    """The text that is signed, with `{body}`, `{timestamp}` and `{id}` in it."""

    timestamp_header: str = ""
    timestamp_prefix: str = ""
    """Where the time of signing stands, in seconds since 1970; an empty header where it is not signed."""

    id_header: str = ""
    """Where the sender's id of the message stands, the same when it is sent again. Only one that is signed counts: by
    another, whoever saw a message could send it again as a new one."""


SCHEMES: Mapping[str, Scheme] = {
    "standard-webhooks": Scheme(
        header="webhook-signature", encoding="base64", prefix="v1,", separator=" ", signed="{id}.{timestamp}.{body}",
        timestamp_header="webhook-timestamp", id_header="webhook-id",
    ),
    "github": Scheme(header="X-Hub-Signature-256", prefix="sha256="),
    "stripe": Scheme(
        header="Stripe-Signature", prefix="v1=", separator=",", signed="{timestamp}.{body}",
        timestamp_header="Stripe-Signature", timestamp_prefix="t=",
    ),
    "slack": Scheme(
        header="X-Slack-Signature", prefix="v0=", signed="v0:{timestamp}:{body}",
        timestamp_header="X-Slack-Request-Timestamp",
    ),
    "shopify": Scheme(header="X-Shopify-Hmac-Sha256", encoding="base64"),
}  # fmt: skip
"""The schemes that have names. Sources: standardwebhooks.com and the senders' pages on verifying their webhooks."""


def mistakes(scheme: Scheme) -> Iterator[tuple[str, str]]:
    """Yield the members, in the spelling of JSON, by which a scheme cannot work, and why."""
    named = places(scheme.signed)
    unknown = [name for name in named if name not in PLACES]
    if unknown:
        yield "signed", f"there is no {{{unknown[0]}}}; there are {', '.join(f'{{{name}}}' for name in PLACES)}"
    if "body" not in named:
        yield "signed", "{body} is missing: what is not signed can be changed on the way"
    for place, member, header in (
        ("timestamp", "timestampHeader", scheme.timestamp_header), ("id", "idHeader", scheme.id_header),
    ):  # fmt: skip
        if place in named and not header:
            yield member, f"say which header holds the {{{place}}} that is signed"
        if header and place not in named:
            yield member, f"without {{{place}}} in `signed` anybody could change it"


def places(signed: str) -> tuple[str, ...]:
    """Return what a `signed` text names between braces."""
    return tuple(_PLACE.findall(signed))


def keys_of(secret: Json) -> tuple[bytes, ...]:
    """Return the keys that a secret gives: one text, or an array of them while a key is being replaced.

    Raises:
        ValueError: It is neither, or an empty text, with which anybody could sign.
    """
    texts = secret if isinstance(secret, list) else [secret]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a secret that signs is a text or an array of texts, none of them empty")
    return tuple(_key(text) for text in texts)


def _key(text: str) -> bytes:
    if not text.startswith(_STANDARD_PREFIX):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix(_STANDARD_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a secret that begins with {_STANDARD_PREFIX} goes on in base64") from error
    if not key:
        raise ValueError(f"nothing stands behind {_STANDARD_PREFIX}")
    return key


def verify(
    scheme: Scheme,
    keys: tuple[bytes, ...],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    tolerance: timedelta,
) -> None:
    """Return when one of the signatures was made of this body with one of the keys, and not too long ago.

    Args:
        scheme: How the sender signs.
        keys: At least one.
        headers: Of the request, by name in small letters.
        body: As it was sent, byte for byte.
        now: The time.
        tolerance: How far the time of signing may lie from it, either way; where no time is signed, of no effect.

    Raises:
        SignatureError: Otherwise.
    """
    given = [*_signatures(scheme, headers)]
    timestamp = _timestamp(scheme, headers, now, tolerance) if scheme.timestamp_header else ""
    message_id = _header(headers, scheme.id_header) if scheme.id_header else ""
    signed = _signed(scheme, body, timestamp, message_id)
    wanted = [hmac.digest(key, signed, scheme.algorithm) for key in keys]
    # Each is compared with each, so that how long it takes says nothing.
    if not sum(hmac.compare_digest(one, other) for one in given for other in wanted):
        raise SignatureError(f"the signature in {scheme.header} does not match the body")


def sign(scheme: Scheme, key: bytes, body: bytes, *, timestamp: str = "", message_id: str = "") -> str:
    """Return the signature with its prefix, as a sender puts it into the header."""
    digest = hmac.digest(key, _signed(scheme, body, timestamp, message_id), scheme.algorithm)
    return scheme.prefix + (digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode())


def _signed(scheme: Scheme, body: bytes, timestamp: str, message_id: str) -> bytes:
    """Return what is signed. All places are filled at once, since a body may hold `{id}` itself."""
    parts = {"body": body, "timestamp": timestamp.encode(), "id": message_id.encode("latin-1", "replace")}
    pieces = _PLACE.split(scheme.signed)
    return b"".join(parts[piece] if place % 2 else piece.encode() for place, piece in enumerate(pieces))


def _signatures(scheme: Scheme, headers: Mapping[str, str]) -> Iterator[bytes]:
    found = False
    for text in _parts(scheme, _header(headers, scheme.header)):
        if text.startswith(scheme.prefix):
            found = True
            yield _decoded(text.removeprefix(scheme.prefix), scheme.encoding)
    if not found:
        raise SignatureError(f"no signature in {scheme.header} begins with {scheme.prefix}")


def _decoded(text: str, encoding: str) -> bytes:
    """Return the bytes of a signature; of one that is not spelled right, none: it matches nothing."""
    try:
        return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _timestamp(scheme: Scheme, headers: Mapping[str, str], now: datetime, tolerance: timedelta) -> str:
    found = _parts(scheme, _header(headers, scheme.timestamp_header))
    texts = [part.removeprefix(scheme.timestamp_prefix) for part in found if part.startswith(scheme.timestamp_prefix)]
    text = texts[0] if texts else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise SignatureError(f"{scheme.timestamp_header} holds no time in seconds since 1970")
    seconds = round(now.timestamp() - int(text))
    if abs(seconds) > tolerance.total_seconds():
        away = f"{seconds} s ago" if seconds > 0 else f"{-seconds} s from now"
        raise SignatureError(f"it was signed {away}; {tolerance.total_seconds():g} s are allowed")
    return text


def _parts(scheme: Scheme, text: str) -> list[str]:
    return [part.strip() for part in text.split(scheme.separator)] if scheme.separator else [text.strip()]


def _header(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(name.lower(), "")
    if not text:
        raise SignatureError(f"the header {name} is missing")
    return text
