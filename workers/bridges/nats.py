"""NATS: a stream of JetStream where the subject has one, else the subject itself.

The latter keeps nothing. What is published while no bridge takes is lost, and so is what was taken and not stored when
its process dies: NATS itself knows no acknowledgement.
"""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import nats
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingError
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError, ServiceUnavailableError

from lemline_site.config.bridges import Address
from workers.bridges.source import Message

log = logging.getLogger("lemline.bridges")

T = TypeVar("T")

_PATIENCE_SECONDS = 10.0
"""For what the server answers."""

_ACK_WAIT_SECONDS = 15.0
"""So long a stream waits before it delivers to the next one what a dead process had. Each `keep` starts it anew."""

_AHEAD = 2000
"""Messages of a bare subject that wait here at most. Beyond, the client drops some and says so."""


class Nats:
    """A connection on an event loop of its own, which goes on while events are stored."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"nats {address.name}", daemon=True)
        self._thread.start()
        self._client: Any = None
        self._pulling: Any = None
        """The subscription of a stream; None where there is none."""

        self._arrived: asyncio.Queue[Msg] = asyncio.Queue(_AHEAD)
        self._taken: Sequence[Msg] = ()

    def open(self) -> None:
        """Connect, and subscribe."""
        self._wait(self._open(), 2 * _PATIENCE_SECONDS)

    def take(self, most: int, seconds: float) -> Sequence[Message]:
        """Return what is next."""
        taking = self._pull(most, seconds) if self._pulling else self._collect(most, seconds)
        self._taken = self._wait(taking, seconds + _PATIENCE_SECONDS)
        if not self._taken and self._client.is_closed:
            raise ConnectionError("the server has closed the connection")
        return [_message(each) for each in self._taken]

    def keep(self) -> None:
        """Have the stream wait longer."""
        if self._pulling:
            self._wait(self._each("in_progress"), _PATIENCE_SECONDS)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge to the stream, and see that it got there."""
        if self._pulling:
            self._wait(self._each("ack"), _PATIENCE_SECONDS)
        self._taken = ()

    def close(self) -> None:
        """Have the stream deliver again at once what was not acknowledged; disconnect, and end the loop."""
        with contextlib.suppress(Exception):
            if self._pulling and not self._client.is_closed:
                self._wait(self._each("nak"), _PATIENCE_SECONDS)
        with contextlib.suppress(Exception):
            self._wait(self._client.close(), _PATIENCE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    async def _open(self) -> None:
        address = self._address
        encryption = {"tls": ssl.create_default_context()} if address.is_encrypted else {}
        access = {"user": address.user, "password": address.password} if address.user else {}
        # No reconnecting of its own: the bridge makes a new source, and says that the old one is away.
        self._client = await nats.connect(
            f"nats://{address.host}:{address.port}", allow_reconnect=False, connect_timeout=int(_PATIENCE_SECONDS),
            name=f"lemline {address.name}", error_cb=self._complain, **encryption, **access,
        )  # fmt: skip
        stream = address["stream"] or await self._stream()
        if stream:
            context = self._client.jetstream(timeout=_PATIENCE_SECONDS)
            self._pulling = await context.pull_subscribe(
                address["subject"], durable=address["durable"], stream=stream,
                config=ConsumerConfig(ack_wait=_ACK_WAIT_SECONDS),
            )  # fmt: skip
            return
        log.warning("bridge.keeps_nothing", extra={"bridge": address.name, "subject": address["subject"]})
        await self._client.subscribe(address["subject"], queue=address["group"], cb=self._arrived.put)
        await self._client.flush(int(_PATIENCE_SECONDS))

    async def _stream(self) -> str:
        """Return the stream that keeps the subject; nothing where there is none, or no JetStream."""
        context = self._client.jetstream(timeout=_PATIENCE_SECONDS)
        with contextlib.suppress(NotFoundError, ServiceUnavailableError):
            return str(await context.find_stream_name_by_subject(self._address["subject"]))
        return ""

    async def _complain(self, error: Exception) -> None:
        log.warning("bridge.nats", extra={"bridge": self._address.name, "error": f"{type(error).__name__}: {error}"})

    async def _pull(self, most: int, seconds: float) -> list[Msg]:
        try:
            found: list[Msg] = await self._pulling.fetch(most, seconds)
        except (NothingError, TimeoutError):
            return []
        return found

    async def _collect(self, most: int, seconds: float) -> list[Msg]:
        found: list[Msg] = []
        with contextlib.suppress(TimeoutError):
            found.append(await asyncio.wait_for(self._arrived.get(), seconds))
            while len(found) < most and not self._arrived.empty():
                found.append(self._arrived.get_nowait())
        return found

    async def _each(self, verb: str) -> None:
        for each in self._taken:
            await getattr(each, verb)()
        await self._client.flush(int(_PATIENCE_SECONDS))


def _message(taken: Msg) -> Message:
    is_kept = taken.reply.startswith("$JS.ACK.")
    place = f"{taken.subject} {taken.metadata.sequence.stream}" if is_kept else taken.subject
    return Message(body=taken.data, headers=taken.headers or {}, place=place, is_percent_encoded=True)
