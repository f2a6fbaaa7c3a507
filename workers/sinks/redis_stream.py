"""A stream of Redis.

Structured, an entry has the field `event`; binary, the fields `data` and `content-type`, and attributes as `ce-…`.
"""

from typing import Any

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, ResponseError

from workers.sinks.layout import lay_out
from workers.sinks.sender import AwayError, FailedError, Place
from workflows.runtime.deliveries import Letter


class RedisStreamSender:
    """Appends to a stream, which the first event makes."""

    def __init__(self, place: Place) -> None:
        address = place.address
        self._place = place
        self._stream = address["stream"]
        self._most = int(address["max-length"]) if address["max-length"] else None
        self._client: Any = None

    async def send(self, letter: Letter) -> None:
        """Return once the entry is there."""
        layout = lay_out(letter.event, is_binary=self._place.is_binary)
        fields: dict[Any, Any] = {"event": layout.body}
        if self._place.is_binary:
            fields = {f"ce-{name}": value for name, value in layout.attributes.items()}
            fields.update({"content-type": layout.content_type} if layout.content_type else {}, data=layout.body)
        try:
            await self._connected().xadd(self._stream, fields, maxlen=self._most, approximate=True)
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            raise AwayError(f"Redis: {error}") from error
        except ResponseError as error:
            raise FailedError(f"XADD {self._stream}: {error}") from error

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> Any:
        if self._client is None:
            address, seconds = self._place.address, self._place.timeout_seconds
            user, password = self._place.login()
            self._client = redis.Redis(
                host=address.host, port=address.port, db=int(address.path or 0), ssl=address.is_encrypted,
                username=user or None, password=password or None, socket_timeout=seconds,
                socket_connect_timeout=seconds, socket_keepalive=True, health_check_interval=10,
                # Once more at once, for a connection that was cut while nothing was sent.
                retry=Retry(NoBackoff(), 1),
            )  # fmt: skip
        return self._client
