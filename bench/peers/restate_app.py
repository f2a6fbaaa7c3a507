"""The service that Restate calls, an ASGI application."""

import asyncio
import os
from urllib.parse import urlsplit

import restate

from bench.workloads import STEPS, result_of

service = restate.Service("Bench")
_idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []


def work(wf: int, k: int) -> dict:
    return result_of(wf, k)


async def work_http(wf: int, k: int) -> dict:
    """Ask the stub with as little client as possible: bare sockets, kept."""
    stub = urlsplit(os.environ["BENCH_STUB_URL"])
    reader, writer = _idle.pop() if _idle else await asyncio.open_connection(stub.hostname, stub.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: stub\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    _idle.append((reader, writer))
    return result_of(wf, k)


@service.handler()
async def seq(ctx: restate.Context, wf: int) -> dict:
    for k in range(STEPS):
        result = await ctx.run_typed(f"s{k}", work, wf=wf, k=k)
    return result


@service.handler()
async def http(ctx: restate.Context, wf: int) -> dict:
    for k in range(STEPS):
        result = await ctx.run_typed(f"s{k}", work_http, wf=wf, k=k)
    return result


app = restate.app([service])
