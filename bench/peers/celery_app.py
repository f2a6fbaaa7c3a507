"""The tasks of the raw Celery chain: each keeps its result in Redis, nothing is durable."""

import http.client
import os
import threading
from urllib.parse import urlsplit

from celery import Celery

from bench.workloads import result_of

_broker = os.environ["BENCH_REDIS_URL"]
app = Celery("bench", broker=f"{_broker}/4", backend=f"{_broker}/5")
app.conf.update(
    worker_prefetch_multiplier=16,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=32,
)
_local = threading.local()


@app.task
def step(previous: object, wf: int, k: int) -> dict[str, object]:
    """Do as good as nothing."""
    return result_of(wf, k)


@app.task
def get(previous: object, wf: int, k: int) -> dict[str, object]:
    """Ask the stub, over a connection that is kept."""
    stub = urlsplit(os.environ["BENCH_STUB_URL"])
    if not hasattr(_local, "connection"):
        _local.connection = http.client.HTTPConnection(stub.hostname or "", stub.port, timeout=30)
    _local.connection.request("GET", "/")
    _local.connection.getresponse().read()
    return result_of(wf, k)
