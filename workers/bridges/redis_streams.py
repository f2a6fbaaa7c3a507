"""Redis Streams, taken by a consumer group.

A message is a structured event in its only field, or in one that is called `event`, `data`, `body` or `message`; or a
binary one, with attributes as fields `ce-…` beside `data`.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lemline_site.config.bridges import Address
from workers.bridges.source import Message

_BODIES = (b"event", b"data", b"body", b"message")
_CONSUMER = "lemline"
"""There is one at a time, so that what one left is the next one's."""

_MILLISECONDS = 1000
_TIMEOUT_SECONDS = 10.0


class RedisStreams:
    """A connection that reads a stream for a group, from its first message on when the group is new."""

    def __init__(self, address: Address) -> None:
        self._stream, self._group = address["stream"], address["group"]
        self._client: Any = redis.Redis(
            host=address.host, port=address.port, db=int(address.path or 0),
            username=address.user or None, password=address.password or None, ssl=address.is_encrypted,
            socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, socket_keepalive=True,
            # The bridge tries again, and says so.
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        self._after = "0"
        """Where to go on among what was taken and not acknowledged; `>` for what nobody took."""

    def open(self) -> None:
        """Make the group, and the stream for it."""
        try:
            self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def take(self, most: int, seconds: float) -> Sequence[Message]:
        """Return what is next."""
        block = int(seconds * _MILLISECONDS)
        answer: Any = self._client.xreadgroup(
            self._group, _CONSUMER, {self._stream: self._after}, count=most, block=block
        )
        taken = [_message(place, fields) for _, entries in answer or () for place, fields in entries]
        if self._after != ">" and not taken:
            self._after = ">"
        elif self._after != ">":
            self._after = taken[-1].place
        return taken

    def keep(self) -> None:
        """Redis takes nothing back by itself."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Take them off the group's list; the stream itself is its producers' to trim."""
        self._client.xack(self._stream, self._group, *(message.place for message in messages))

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(redis.RedisError, OSError):
            self._client.close()


def _message(place: bytes, fields: Mapping[bytes, bytes] | None) -> Message:
    """Of what was trimmed before it was acknowledged, only the place is left."""
    rest = dict(fields or {})
    name = next((each for each in _BODIES if each in rest), next(iter(rest)) if len(rest) == 1 else None)
    body = b"" if name is None else rest.pop(name)
    headers = {key.decode(errors="replace"): value for key, value in rest.items()}
    return Message(body=body, headers=headers, place=place.decode())
