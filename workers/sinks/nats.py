"""NATS: a subject of JetStream, which acknowledges what it stored; or of plain NATS, where the server has it."""

import asyncio
import contextlib
import math
from collections.abc import Mapping
from typing import Any

from workers.sinks.layout import lay_out
from workers.sinks.sender import AwayError, FailedError, Place, missing
from workers.sinks.signature import id_of
from workflows.runtime.deliveries import Letter


class NatsSender:
    """Publishes to one subject."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._subject = place.address["subject"]
        self._is_stored = place.address["jetstream"] == "true"
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def send(self, letter: Letter) -> None:
        """Return once a stream has it; with `jetstream=false`, once the server has answered after it."""
        client = await self._connected()
        try:
            await self._publish(client, letter)
        except TimeoutError:
            # It may be the connection.
            await self.close()
            raise

    async def _publish(self, client: Any, letter: Letter) -> None:
        layout = lay_out(letter.event, is_binary=self._place.is_binary)
        # The id has a stream drop what it got before, within its window for doubles.
        headers = {**layout.headers(), "Nats-Msg-Id": id_of(letter.source, letter.event_id)}
        if layout.content_type:
            headers["content-type"] = layout.content_type
        if not self._is_stored:
            await client.publish(self._subject, layout.body, headers=headers)
            await client.flush(timeout=math.ceil(self._place.timeout_seconds))
            return
        await self._store(client, layout.body, headers)

    async def _store(self, client: Any, body: bytes, headers: Mapping[str, str]) -> None:
        from nats.js.errors import APIError, NoStreamResponseError

        try:
            await client.jetstream().publish(self._subject, body, timeout=self._place.timeout_seconds, headers=headers)
        except NoStreamResponseError as error:
            raise AwayError(
                f"no stream of JetStream takes the subject {self._subject}: make one, or say jetstream=false"
            ) from error
        except APIError as error:
            raise FailedError(f"NATS {self._subject}: {error.description or error}") from error

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                await client.close()

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self.close()
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Any:
        try:
            import nats
        except ImportError:
            raise missing("nats-py") from None

        said: list[Exception] = []

        async def heard(error: Exception) -> None:
            said.append(error)

        address, seconds = self._place.address, self._place.timeout_seconds
        user, password = self._place.login()
        login = {"user": user, "password": password} if password else {"token": user} if user else {}
        url = f"{'tls' if address.is_encrypted else 'nats'}://{address.host}:{address.port}"
        try:
            async with asyncio.timeout(seconds):
                return await nats.connect(
                    url, name="lemline", error_cb=heard, connect_timeout=math.ceil(seconds), allow_reconnect=False,
                    # Fewer means for ever.
                    max_reconnect_attempts=1, reconnect_time_wait=0, **login,
                )  # fmt: skip
        except (nats.errors.Error, OSError) as error:
            raise AwayError(f"{url}: {(said or [error])[-1]}") from error
