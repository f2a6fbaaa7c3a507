"""MQTT 5: a topic, at least once. The client has a thread of its own, which tells the loop what was acknowledged."""

import asyncio
import contextlib
from typing import Any

from workers.sinks.layout import lay_out
from workers.sinks.sender import FailedError, Place, missing
from workflows.runtime.deliveries import Letter

_AT_LEAST_ONCE = 1
_FAILURE = 0x80
"""Reason codes from here on say that it went wrong."""


class MqttSender:
    """Publishes to one topic."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._topic = place.address["topic"]
        self._loop = asyncio.get_running_loop()
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._under_way: dict[int, asyncio.Future[int]] = {}
        """Message ids of the client to their reason codes."""

    async def send(self, letter: Letter) -> None:
        """Return once the broker has acknowledged it."""
        client = await self._connected()
        # Nothing waits between the two: the answer finds its future.
        number = client.publish(self._topic, *self._message(letter)).mid
        answer = self._under_way[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(self._place.timeout_seconds):
                code = await answer
        except TimeoutError:
            await self.close()
            raise
        finally:
            self._under_way.pop(number, None)
        if code >= _FAILURE:
            raise FailedError(f"MQTT {self._topic}: reason code {code}")

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await self._loop.run_in_executor(None, _end, client)

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None or not self._client.is_connected():
                await self.close()
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Any:
        try:
            from paho.mqtt.client import Client, MQTTv5
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise missing("paho-mqtt") from None
        address = self._place.address
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, reconnect_on_failure=False)
        user, password = self._place.login()
        if user:
            client.username_pw_set(user, password)
        if address.is_encrypted:
            client.tls_set()
        client.connect_timeout = self._place.timeout_seconds
        accepted: asyncio.Future[Any] = self._loop.create_future()

        def tell(answer: asyncio.Future[Any], value: object) -> None:
            if not answer.done():
                answer.set_result(value)

        def connected(_client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
            self._loop.call_soon_threadsafe(tell, accepted, code)

        def published(_client: Any, _data: Any, number: int, code: Any, _properties: Any) -> None:
            self._loop.call_soon_threadsafe(self._acknowledged, number, code.value)

        client.on_connect, client.on_publish = connected, published
        try:
            await self._loop.run_in_executor(None, client.connect, address.host, address.port)
            client.loop_start()
            async with asyncio.timeout(self._place.timeout_seconds):
                code = await accepted
            if code.is_failure:
                raise ConnectionError(f"MQTT {address.host}: {code}")
        except BaseException:
            await self._loop.run_in_executor(None, _end, client)
            raise
        return client

    def _acknowledged(self, number: int, code: int) -> None:
        answer = self._under_way.get(number)
        if answer is not None and not answer.done():
            answer.set_result(code)

    def _message(self, letter: Letter) -> tuple[bytes, int, bool, Any]:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        layout = lay_out(letter.event, is_binary=self._place.is_binary)
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if layout.content_type:
            properties.ContentType = layout.content_type
        if layout.attributes:
            properties.UserProperty = list(layout.attributes.items())
        return layout.body, _AT_LEAST_ONCE, False, properties


def _end(client: Any) -> None:
    with contextlib.suppress(Exception):
        client.disconnect()
        client.loop_stop()
