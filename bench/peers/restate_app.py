"""The service that Restate calls, an ASGI application."""

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import restate
from restate import gather

from bench.marks import Marks
from bench.workloads import NAP_SECONDS, STEPS, result_of

service = restate.Service("Bench")
late = Marks(Path(os.environ["BENCH_FOLDER"]) / "restate-late")
_idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []


def work(wf: int, k: int) -> dict:
    return result_of(wf, k)


def clock() -> float:
    return time.time()


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


@service.handler()
async def fan(ctx: restate.Context, items: int) -> list:
    results = await gather(*[ctx.run_typed(f"s{k}", work, wf=0, k=k) for k in range(items)])
    return [(await result)["step"] for result in results]


@service.handler()
async def nap(ctx: restate.Context, wf: int) -> int:
    began = await ctx.run_typed("began", clock)
    await ctx.sleep(timedelta(seconds=NAP_SECONDS))
    late.add(time.time() - began - NAP_SECONDS)
    return wf


app = restate.app([service])
