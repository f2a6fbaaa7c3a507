"""CloudEvents as they arrive: structured, binary or in batches, in a request or a message of a broker."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.event_rules import Event, check_events, is_json, named
from workflows.runtime.json_texts import read_json

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"

_TEXT_TYPE = re.compile(
    r"(text/.*|[^/;\s]+/([^;\s]+\+)?(xml|yaml|x-www-form-urlencoded|javascript|graphql|sql)\s*(;.*)?)", re.IGNORECASE
)
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What a request or a message of a broker brought."""

    content_type: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Attributes beside the body, named as in CloudEvents: there are some in binary mode only."""

    body: bytes = b""


def read_events(parcel: Parcel) -> list[Event]:
    """Return the events of a parcel, in their order.

    A mode is told by the content type, else by attributes beside the body. Plain JSON without such attributes is read
    as an event, or as a batch when it is a list.

    Raises:
        InvalidRequestError: There is something that is no event; `errors` has `index` (in a batch), `pointer`,
            `message`.
        TooLargeError: An event is over `lemline.limits.event`, or there are more than `lemline.limits.events`.
    """
    kind = parcel.content_type.partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents") and kind not in (STRUCTURED, BATCH):
        raise InvalidRequestError(f"{kind} is not read here; send {STRUCTURED} or {BATCH}.")
    if kind not in (STRUCTURED, BATCH) and parcel.attributes:
        return check_events([_binary(parcel)], is_batch=False)
    if kind not in (STRUCTURED, BATCH, "") and not is_json(kind):
        raise InvalidRequestError(
            f"This is no CloudEvent: send one as {STRUCTURED}, several as {BATCH}, or the attributes as `ce-` headers"
            f" beside data of any type. What came is {kind}, without such headers."
        )
    value = read_json(parcel.body, "The body")
    if isinstance(value, list) and kind != STRUCTURED:
        return check_events(value, is_batch=True)
    if kind == BATCH:
        raise InvalidRequestError(f"A batch is a list of events; this is {named(value)}. One alone is {STRUCTURED}.")
    return check_events([value], is_batch=False)


def _binary(parcel: Parcel) -> Event:
    """Return what stands beside the body and in it as one event."""
    event: Event = dict(parcel.attributes)
    for name in {"data", "data_base64"} & event.keys():
        raise InvalidRequestError(
            f"{name} is no attribute: in binary mode the body is the data.",
            errors=({"pointer": f"/{name}", "message": "the body is the data"},),
        )
    kind = parcel.content_type.strip()
    if kind:
        event["datacontenttype"] = kind
    if not parcel.body:
        return event
    if not kind or is_json(kind):
        what = f"The data, {kind or 'JSON where no content type is said'},"
        event["data"] = read_json(parcel.body, what, "/data")
    elif _TEXT_TYPE.fullmatch(kind):
        event["data"] = _text(parcel.body, kind)
    else:
        event["data_base64"] = base64.b64encode(parcel.body).decode()
    return event


def _text(body: bytes, kind: str) -> str:
    match = _CHARSET.search(kind)
    charset = match[1] if match else "utf-8"
    try:
        return body.decode(charset)
    except (LookupError, UnicodeError) as error:
        message = f"is no text in {charset}, which its content type {kind} says: {error}"
        raise InvalidRequestError(f"The data {message}.", errors=({"pointer": "/data", "message": message},)) from error
