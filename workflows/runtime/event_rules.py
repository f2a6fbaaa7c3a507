"""What a CloudEvent must be, and what is said about each that is not.

The rules are those of the SDK of CloudEvents (`v1.event.CloudEvent`), and what it does not look at. Its readers are not
used: they invent an id where none was sent, take for text what should be JSON and is not, and read numbers as doubles.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.v1.event import CloudEvent
from django.conf import settings

from workflows.dsl.cloud_events import DATA, LONGEST_BYTES, NUMBERS, is_name, is_too_long
from workflows.dsl.jsontext import Json, JsonError, decode, encode
from workflows.runtime.errors import InvalidRequestError, TooLargeError

Event = dict[str, Json]
"""A CloudEvent in JSON format."""

MOST_TOLD = 100
"""Mistakes that are told one by one."""

_REQUIRED = {
    "specversion": 'the version of CloudEvents, "1.0"',
    "id": "a text that no other event of its source has",
    "source": "who tells it, a URI reference such as /orders",
    "type": "what happened, such as com.example.order.placed",
}
"""Attribute to what should stand there."""

_EXPLAINED = {
    **{name: f"is wrong: it is {text}" for name, text in _REQUIRED.items()},
    "time": "is no time; write RFC 3339 with its zone, such as 2026-01-31T12:00:00Z",
    "subject": "must be a text of one character at least",
    "dataschema": "must be a URI as text",
    "datacontenttype": "must be a media type as text, such as application/json",
}
"""What is said instead of the SDK's words, which name types of Python."""

_JSON_TYPE = re.compile(r"[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.IGNORECASE)


def is_json(content_type: str) -> bool:
    """Return whether a content type says JSON."""
    return _JSON_TYPE.fullmatch(content_type.strip()) is not None


def check_events(values: list[Json], *, is_batch: bool) -> list[Event]:
    """Return events as they are stored: without attributes that are null, with data as its content type says.

    Raises:
        InvalidRequestError: Something is no event; `errors` has an entry per mistake.
        TooLargeError: An event is over its limit, or there are too many.
    """
    limits = settings.LEMLINE.limits
    if len(values) > limits.events:
        raise TooLargeError(
            f"{len(values)} events are over the limit of {limits.events} (`lemline.limits.events`); send them in"
            " several requests."
        )
    events: list[Event] = []
    mistakes: list[dict[str, object]] = []
    for index, value in enumerate(values):
        where: dict[str, object] = {"index": index} if is_batch else {}
        prefix = f"/{index}" if is_batch else ""
        event, found = _checked(value)
        events.append(event)
        mistakes += ({**where, "pointer": f"{prefix}{name}", "message": text} for name, text in found)
    if mistakes:
        raise _refusal(mistakes, len(values))
    _check_sizes(events, limits.event, is_batch=is_batch)
    return events


def _refusal(mistakes: list[dict[str, object]], count: int) -> InvalidRequestError:
    """Tell the first mistake in words, and all or the first of them one by one."""
    first = mistakes[0]
    bad = len({each.get("index") for each in mistakes})
    told = mistakes[:MOST_TOLD]
    what = "The event cannot be accepted" if count == 1 else f"{bad} of {count} events cannot be accepted, so none was"
    more = "" if len(mistakes) == 1 else f" (and {len(mistakes) - 1} more)"
    return InvalidRequestError(f"{what}: {first['pointer'] or 'the body'}: {first['message']}{more}.", errors=(*told,))


def _check_sizes(events: Iterable[Event], limit_bytes: int, *, is_batch: bool) -> None:
    for index, event in enumerate(events):
        size = len(encode(event))
        if size > limit_bytes:
            message = f"{size} bytes are over the limit of {limit_bytes} bytes (`lemline.limits.event`)"
            where: dict[str, object] = {"index": index} if is_batch else {}
            pointer = f"/{index}" if is_batch else ""
            advice = "send what is large elsewhere, and its address in the event"
            raise TooLargeError(
                f"The event{f' {pointer}' if is_batch else ''} is too large: {message}; {advice}.",
                errors=({**where, "pointer": pointer, "message": message},),
            )


def _checked(value: Json) -> tuple[Event, list[tuple[str, str]]]:
    """Return an event as it is stored, and its mistakes as pairs of pointer and message."""
    if not isinstance(value, dict):
        return {}, [("", f"an event is an object with {', '.join(_REQUIRED)}; this is {named(value)}")]
    event = {name: each for name, each in value.items() if each is not None or name == "data"}
    found = [*_attribute_mistakes(event), *_settle_data(event)]
    return event, [(f"/{name.replace('~', '~0').replace('/', '~1')}", text) for name, text in found]


def _attribute_mistakes(event: Event) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with attributes: what is missing, then what the SDK says, then what it does not look at."""
    missing = [name for name in _REQUIRED if event.get(name) in (None, "")]
    yield from ((name, f"is missing: {_REQUIRED[name]}") for name in missing)
    attributes = {name: value for name, value in event.items() if name not in DATA and name not in missing}
    told = set(missing)
    for name, text in _by_sdk(attributes, missing):
        told.add(name)
        yield name, text
    for name, value in attributes.items():
        if name not in told:
            yield from ((name, text) for text in _beyond_sdk(name, value))


def _by_sdk(attributes: Mapping[str, Json], missing: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the first complaint of the SDK about each attribute."""
    asked: dict[str, Any] = {**dict.fromkeys(missing, "1.0"), **attributes}
    if "time" in asked:
        asked["time"] = _moment(asked["time"])
    try:
        CloudEvent(asked)
    except CloudEventValidationError as error:
        for name, found in error.errors.items():
            if found:
                yield name, _EXPLAINED.get(name) or f"cannot be: {found[0]}"


def _beyond_sdk(name: str, value: Json) -> Iterator[str]:
    if not is_name(name):
        yield "names of attributes have lower case letters and digits only"
    elif isinstance(value, str):
        if is_too_long(name, value):
            yield f"is longer than {LONGEST_BYTES} bytes in UTF-8"
        if "\x00" in value:
            yield "has a NUL in it, which is not possible in an attribute"
    elif not isinstance(value, bool | int):
        yield f"is {named(value)}; attributes are texts, whole numbers or true and false: put it into data"
    elif value not in NUMBERS:
        yield "is out of range: numbers of attributes have 32 bits; write it as text, or put it into data"


def _moment(value: Json) -> object:
    """Return a time as the SDK wants it; what is none stays, for the SDK to refuse."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and "T" in value.upper() else None
    except ValueError:
        return None


def _settle_data(event: Event) -> Iterator[tuple[str, str]]:
    """Have data be what its content type says, JSON as a value and what is not in base64; yield what it cannot be."""
    declared = event.get("datacontenttype")
    says_json = not isinstance(declared, str) or is_json(declared)
    if "data_base64" in event:
        if text := _settle_bytes(event, declared is not None and says_json):
            yield "data_base64", text
    elif not says_json and not isinstance(event.get("data"), str | None):
        advice = "send a text, or data_base64, or datacontenttype application/json"
        yield "data", f"is {named(event['data'])}, but datacontenttype says {declared}: {advice}"


def _settle_bytes(event: Event, says_json: bool) -> str:
    """Return what is wrong with data in base64. JSON among it is unpacked, so that filters see it."""
    if "data" in event:
        return "stands beside data; send one of them"
    try:
        data = base64.b64decode(event["data_base64"], validate=True)
        if says_json:
            event["data"] = decode(data)
            del event["data_base64"]
    except JsonError as error:
        return f"is not JSON, which datacontenttype says it is: {error}"
    except (binascii.Error, ValueError, TypeError):
        return "is no base64 text"
    return ""


def named(value: Json) -> str:
    """Return the sort of a JSON value, as a sentence names it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "a number"
