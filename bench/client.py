"""A small HTTP client, for what is measured not to be the client."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any


async def each(items: Iterable[Any], do: Callable[[Any], Awaitable[Any]], width: int) -> None:
    """Do it for each item, so many at the same time."""
    waiting = iter(items)

    async def one() -> None:
        for item in waiting:
            await do(item)

    await asyncio.gather(*(one() for _ in range(width)))


class Client:
    """HTTP over connections that are kept, with as little overhead as possible."""

    def __init__(self, port: int, key: str = "") -> None:
        self._port = port
        access = f"Authorization: Bearer {key}\r\n" if key else ""
        self._head = f"Host: bench\r\nContent-Type: application/json\r\n{access}"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON of its answer."""
        async with self._connection() as (reader, writer):
            data = b"" if body is None else json.dumps(body).encode()
            head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(data)}\r\n\r\n"
            writer.write(head.encode() + data)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            text = await self._body(reader, answer)
        status = int(answer.split(None, 2)[1])
        if status not in (200, 202):
            raise RuntimeError(f"{method} {path}: {status} {text!r}")
        return json.loads(text)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        pair = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        yield pair
        self._idle.append(pair)

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"content-length:" in head:
            return await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)
