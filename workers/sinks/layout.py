"""How a CloudEvent is laid out in a message: whole in the body, or data in the body and attributes beside it.

Source: the bindings of CloudEvents 1.0 for HTTP, AMQP, MQTT and NATS.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from workflows.dsl.jsontext import Json, decode, encode

STRUCTURED = "application/cloudevents+json"

_NOT_ATTRIBUTES = ("data", "data_base64", "datacontenttype")
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What a header holds as it is."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A message, whoever carries it."""

    content_type: str
    """Empty where there is no data."""

    attributes: Mapping[str, str]
    """Those that stand beside the body, `datacontenttype` apart; none in structured mode."""

    body: bytes

    def headers(self, prefix: str = "ce-") -> dict[str, str]:
        """Return the attributes as headers of ASCII, as HTTP and NATS want them."""
        return {f"{prefix}{name}": quote(value, safe=_PLAIN) for name, value in self.attributes.items()}


def lay_out(event: bytes, *, is_binary: bool) -> Layout:
    """Return the message of an event in JSON format."""
    if not is_binary:
        return Layout(content_type=STRUCTURED, attributes={}, body=event)
    members = decode(event)
    attributes = {
        name: _text(value) for name, value in members.items() if name not in _NOT_ATTRIBUTES and value is not None
    }
    content_type = members.get("datacontenttype") or ""
    if members.get("data_base64") is not None:
        return Layout(content_type=content_type, attributes=attributes, body=base64.b64decode(members["data_base64"]))
    if "data" not in members:
        return Layout(content_type=content_type, attributes=attributes, body=b"")
    # JSON format says nothing of JSON: data without a type is that.
    content_type = content_type or "application/json"
    return Layout(content_type=content_type, attributes=attributes, body=_body(members["data"], content_type))


def _body(data: Json, content_type: str) -> bytes:
    media_type = content_type.partition(";")[0].strip().lower()
    is_json = media_type.endswith(("/json", "+json"))
    return data.encode() if isinstance(data, str) and not is_json else encode(data)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else encode(value).decode()
