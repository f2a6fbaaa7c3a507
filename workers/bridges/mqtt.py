"""MQTT: a topic, with quality of service 1 and a session that the server keeps while no bridge takes.

What a client publishes with quality 0 is not kept for a session by every server.
"""

import contextlib
import queue
import threading
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lemline_site.config.bridges import Address
from workers.bridges.source import Message

_FOR_EVER_SECONDS = 0xFFFFFFFF
"""How long the server keeps a session."""

_KEEP_ALIVE_SECONDS = 30
_PATIENCE_SECONDS = 10.0
_FAILURE = 0x80
"""Reason codes from here on say no."""


class Mqtt:
    """A client with a session, a thread that reads, and manual acknowledgement."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._arrived: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()
        self._subscribed = threading.Event()
        self._problem = ""
        """Why this connection is of no use any more."""

        # The same name each time: the session is found by it.
        name = address["client-id"] or f"lemline-{address.name}"
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=name, manual_ack=True, reconnect_on_failure=False, **self._version(),
        )  # fmt: skip
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._answered
        self._client.on_message = self._arrive
        self._client.on_disconnect = self._disconnected

    def open(self) -> None:
        """Connect, and subscribe unless the session has it already."""
        address = self._address
        if address.user:
            self._client.username_pw_set(address.user, address.password or None)
        if address.is_encrypted:
            self._client.tls_set()
        more: dict[str, Any] = {}
        if self._is_5:
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # has no types
            properties.SessionExpiryInterval = _FOR_EVER_SECONDS
            more = {"clean_start": False, "properties": properties}
        self._client.connect(address.host, address.port, _KEEP_ALIVE_SECONDS, **more)
        self._client.loop_start()
        if not self._subscribed.wait(_PATIENCE_SECONDS) or self._problem:
            raise ConnectionError(self._problem or "the server did not answer")

    def take(self, most: int, seconds: float) -> Sequence[Message]:
        """Return what has arrived. The server sends no more than some dozens or hundreds ahead of acknowledgements."""
        found: list[MQTTMessage] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._arrived.get(timeout=seconds))
            while len(found) < most:
                found.append(self._arrived.get_nowait())
        if self._problem:
            # What came before is sent again, with numbers that are of the next connection.
            raise ConnectionError(self._problem)
        return [_message(each) for each in found]

    def keep(self) -> None:
        """The thread that reads sends what the server wants to see."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge on the connection over which they came; what it does not tell any more comes again."""
        for message in messages:
            number, quality = message.handle
            self._client.ack(number, quality)

    def close(self) -> None:
        """Disconnect, after what was acknowledged last; the session stays."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _is_5(self) -> bool:
        return self._address["version"] == "5"

    def _version(self) -> dict[str, Any]:
        return {"protocol": MQTTv5} if self._is_5 else {"protocol": MQTTv311, "clean_session": False}

    def _connected(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._fail(f"the server refused: {reason}")
        else:
            client.subscribe(self._address["topic"], qos=1)

    def _answered(self, client: Client, userdata: Any, number: int, reasons: list[Any], properties: Any) -> None:
        if any(reason.value >= _FAILURE for reason in reasons):
            self._fail(f"the server refused {self._address['topic']}: {reasons[0]}")
        self._subscribed.set()

    def _arrive(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self._arrived.put(message)

    def _disconnected(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._fail(f"the connection ended: {reason}")

    def _fail(self, problem: str) -> None:
        self._problem = self._problem or problem
        self._subscribed.set()


def _message(arrived: MQTTMessage) -> Message:
    properties = arrived.properties
    return Message(
        body=bytes(arrived.payload),
        headers=dict(getattr(properties, "UserProperty", ())),
        content_type=getattr(properties, "ContentType", ""),
        place=f"{arrived.topic} {arrived.mid}",
        handle=(arrived.mid, arrived.qos),
        has_bare_attributes=True,
    )
