"""The workflows of DBOS; run as a program, a worker process that serves their queue."""

import asyncio
import http.client
import os
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from dbos import DBOS, DBOSConfig

from bench.marks import Marks
from bench.workloads import NAP_SECONDS, STEPS, result_of

DATABASE, QUEUE = "bench_dbos", "bench"
URL = urlsplit(os.environ["BENCH_DATABASE_URL"])._replace(path=f"/{DATABASE}").geturl()
late = Marks(Path(os.environ["BENCH_FOLDER"]) / "dbos-late")
_local = threading.local()


@DBOS.step()
def step(wf: int, k: int) -> dict:
    """Do as good as nothing."""
    return result_of(wf, k)


@DBOS.step()
async def async_step(wf: int, k: int) -> dict:
    """Do as good as nothing."""
    return result_of(wf, k)


@DBOS.step()
def get(wf: int, k: int) -> dict:
    """Ask the stub, over a connection that is kept."""
    stub = urlsplit(os.environ["BENCH_STUB_URL"])
    if not hasattr(_local, "connection"):
        _local.connection = http.client.HTTPConnection(stub.hostname, stub.port, timeout=30)
    _local.connection.request("GET", "/")
    _local.connection.getresponse().read()
    return result_of(wf, k)


@DBOS.workflow()
def seq(wf: int) -> dict:
    return [step(wf, k) for k in range(STEPS)][-1]


@DBOS.workflow()
def gets(wf: int) -> dict:
    return [get(wf, k) for k in range(STEPS)][-1]


@DBOS.workflow()
async def fan(items: int) -> list:
    return [result["step"] for result in await asyncio.gather(*(async_step(0, k) for k in range(items)))]


@DBOS.workflow()
async def nap(wf: int) -> int:
    began = time.time()
    await DBOS.sleep_async(NAP_SECONDS)
    late.add(time.time() - began - NAP_SECONDS)
    return wf


def serve(name: str) -> None:
    """Take workflows from the queue until killed."""
    config = DBOSConfig(
        name="bench",
        system_database_url=URL,
        log_level="WARNING",
        sys_db_pool_size=20,
        max_executor_threads=64,
        application_version="1",
        executor_id=name,
        run_migrations=name == "worker0",
    )
    DBOS(config=config)
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    DBOS.register_queue(
        QUEUE,
        worker_concurrency=int(os.environ["BENCH_DBOS_CONCURRENCY"]) or None,
        polling_interval_sec=float(os.environ["BENCH_DBOS_POLL"]),
    )
    (Path(os.environ["BENCH_FOLDER"]) / f"dbos-{name}").touch()
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1])
