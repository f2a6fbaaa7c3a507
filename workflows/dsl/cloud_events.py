"""What the attributes of a CloudEvent can be, wherever one is written, made or received.

Source: CloudEvents 1.0.2, "Attributes"; but for `LONGEST_BYTES`, which is ours.
"""

import re

IDENTIFYING = ("id", "source", "type")
"""Attributes that each has, and by which events are found."""

LONGEST_BYTES = 1000
"""Of each of those, in UTF-8: what an index takes."""

DATA = ("data", "data_base64")
"""Members of the JSON format that are no attributes."""

NUMBERS = range(-(2**31), 2**31)
"""Whole numbers that an attribute can be."""

_NAME = re.compile(r"[a-z0-9]+")


def is_name(text: str) -> bool:
    """Return whether an attribute can be called so."""
    return _NAME.fullmatch(text) is not None


def is_too_long(name: str, text: str) -> bool:
    """Return whether an attribute's text is longer than an index takes."""
    return name in IDENTIFYING and len(text.encode("utf-8", "replace")) > LONGEST_BYTES
