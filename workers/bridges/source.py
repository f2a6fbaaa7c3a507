"""What a broker must do for a bridge."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote

from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.parcels import Parcel

_PREFIX = re.compile(r"(?:ce[-_]|cloudevents[:_])(.+)", re.IGNORECASE)
"""Of attributes among other headers: those of the bindings for AMQP, Kafka and NATS, wherever they are met."""

_CONTENT_TYPES = ("content-type", "contenttype", "content_type")


@dataclass(frozen=True, kw_only=True)
class Message:
    """What was taken from a broker and is not acknowledged."""

    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)
    """As they came, by name."""

    content_type: str = ""
    place: str
    """Where it stood: an id, a sequence number, an offset."""

    handle: Any = None
    """What its source acknowledges it by."""

    has_bare_attributes: bool = False
    """Whether attributes stand among the headers without a prefix: in MQTT 5, when there is a `specversion`."""

    is_percent_encoded: bool = False
    """Whether values of attributes are encoded as in HTTP: in NATS."""


class Source(Protocol):
    """A connection to a broker. Its calls are made by one thread. Whatever goes wrong is raised, and the bridge makes
    a new source.
    """

    def open(self) -> None:
        """Connect, and ask first for what was taken before and not acknowledged."""
        ...

    def take(self, most: int, seconds: float) -> Sequence[Message]:
        """Return what is there, in the broker's order; wait for the first one so long at most."""
        ...

    def keep(self) -> None:
        """Called each second while what was taken waits to be stored: have the broker see that somebody is here."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Have the broker forget what was stored: all that the last `take` returned."""
        ...

    def close(self) -> None:
        """Disconnect. What is not acknowledged comes again. Raises nothing."""
        ...


def parcel_of(message: Message) -> Parcel:
    """Return a message as what `parcels` reads.

    Raises:
        InvalidRequestError: A header that is an attribute is no text.
    """
    attributes: dict[str, str] = {}
    content_type = message.content_type
    has_bare = message.has_bare_attributes and "specversion" in message.headers
    for name, value in message.headers.items():
        match = _PREFIX.fullmatch(name)
        if name.lower() in _CONTENT_TYPES:
            content_type = content_type or _text(name, value)
        elif match or has_bare:
            text = _text(name, value)
            attributes[match[1].lower() if match else name] = unquote(text) if message.is_percent_encoded else text
    return Parcel(
        content_type=attributes.pop("datacontenttype", "") or content_type, attributes=attributes, body=message.body
    )


def _text(name: str, value: Any) -> str:
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeError as error:
                raise InvalidRequestError(f"The header {name} is no UTF-8: {error}.") from error
        case datetime():
            return value.isoformat() if value.tzinfo else f"{value.isoformat()}Z"
        case bool():
            return "true" if value else "false"
    return str(value)
