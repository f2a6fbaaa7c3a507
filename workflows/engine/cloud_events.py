"""CloudEvents in JSON format: what a task sees of one, and what one must be to leave.

Source: CloudEvents 1.0.2; DSL reference, "Listen", `read`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from workflows.dsl.cloud_events import DATA, IDENTIFYING, LONGEST_BYTES, NUMBERS, is_name, is_too_long
from workflows.dsl.jsontext import Json, encode

_TEXTS = (*IDENTIFYING, "specversion", "subject", "datacontenttype", "dataschema", "time")


def reading(event: Mapping[str, Json], mode: str) -> Json:
    """Return what a `listen` makes of an event.

    Args:
        event: In JSON format.
        mode: `data`; `envelope`, the whole event; or `raw`, the data as text, in base64 when it is binary.
    """
    if mode == "envelope":
        return event
    data = event.get("data_base64") if "data_base64" in event else event.get("data")
    if mode == "data" or data is None or isinstance(data, str):
        return data
    return encode(data).decode()


def mistakes(event: Mapping[str, Json]) -> Iterator[str]:
    """Yield what keeps an object from being a CloudEvent."""
    for name in IDENTIFYING:
        if not event.get(name):
            yield f"it lacks its {name}"
    if event.get("specversion") != "1.0":
        yield 'its specversion is not "1.0"'
    if all(name in event for name in DATA):
        yield "it has both data and data_base64"
    for name, value in event.items():
        if name not in DATA:
            yield from _mistakes_of(name, value)


def _mistakes_of(name: str, value: Json) -> Iterator[str]:
    if not is_name(name):
        yield f"{name!r} is no attribute's name: those have lower case letters and digits only"
    elif isinstance(value, str):
        if is_too_long(name, value):
            yield f"its {name} is longer than {LONGEST_BYTES} bytes"
        if "\0" in value:
            yield f"its {name} has a NUL in it"
        if name == "time" and not _is_time(value):
            yield "its time is not of RFC 3339, such as 2026-01-31T12:00:00Z"
    elif name in _TEXTS:
        yield f"its {name} is no text"
    elif not isinstance(value, bool | int):
        yield f"its {name} is no text, whole number, true or false: put it into data"
    elif value not in NUMBERS:
        yield f"its {name} is out of range: numbers of attributes have 32 bits"


def _is_time(text: str) -> bool:
    try:
        return "T" in text.upper() and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
