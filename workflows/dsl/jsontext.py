"""JSON as authors and services wrote it: exact integers, decimals as spelled, key order kept.

Numbers with a fraction or an exponent are read as `Decimal`, so that 1.10 stays 1.10 from the
input to the output; only a value that jq calculates has passed through a double. Every reader and
writer of workflow data goes through here: the standard library's `json` refuses `Decimal`.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

Json = Any
"""None, bool, int, Decimal, str, list[Json] or dict[str, Json]. A float is accepted on the way out."""


class JsonError(ValueError):
    """The text is not JSON; the message says what was found and at which byte."""


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise JsonError(f"the number {text[:40]} is out of range") from error


_decoder = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(text: bytes | str) -> Json:
    """Return the value of a JSON text.

    Raises:
        JsonError: It is not JSON, not UTF-8, holds a lone surrogate, or is nested too deeply.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise JsonError(str(error)) from error
    except RecursionError as error:
        raise JsonError("the value is nested too deeply") from error


def encode(value: Json) -> bytes:
    """Return the compact JSON text of a value, UTF-8."""
    return _encoder.encode(value)
