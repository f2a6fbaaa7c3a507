"""The tasks of both Celery peers. The chain keeps results in Redis; the durable one commits each step and then
publishes the next, as a Celery shop would write it.
"""

import http.client
import json
import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from celery import Celery

from bench.marks import Marks
from bench.workloads import STEPS, result_of

DATABASE = "bench_celery_commit"

_is_durable = os.environ.get("BENCH_CELERY") == "commit"
_broker, _results = (6, 7) if _is_durable else (4, 5)
RESULTS_URL = f"{os.environ['BENCH_REDIS_URL']}/{_results}"
BROKER_URL = f"{os.environ['BENCH_REDIS_URL']}/{_broker}"

app = Celery("bench", broker=BROKER_URL, backend=RESULTS_URL)
app.conf.update(
    task_acks_late=_is_durable,
    worker_prefetch_multiplier=16,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=32,
)
late = Marks(Path(os.environ["BENCH_FOLDER"]) / "celery-late")
_local = threading.local()


@app.task
def step(previous: object, wf: int, k: int) -> dict[str, object]:
    """Do as good as nothing."""
    return result_of(wf, k)


@app.task
def get(previous: object, wf: int, k: int) -> dict[str, object]:
    """Ask the stub."""
    _ask_stub()
    return result_of(wf, k)


@app.task
def join(results: list[dict[str, Any]]) -> list[int]:
    """Say which items came."""
    return [result["step"] for result in results]


@app.task(ignore_result=True)
def wake(due: float) -> None:
    """Note how late it is."""
    late.add(time.time() - due)


@app.task(ignore_result=True)
def commit_step(wf: int, k: int, asks: bool) -> None:
    """Do as good as nothing or ask the stub, commit, publish the next."""
    if asks:
        _ask_stub()
    _commit(wf, k, "UPDATE wf SET step = %s, done = %s WHERE id = %s", (k, k == STEPS - 1, wf))
    if k < STEPS - 1:
        commit_step.apply_async((wf, k + 1, asks))


@app.task(ignore_result=True)
def commit_item(wf: int, k: int, count: int) -> None:
    """Do as good as nothing, commit, count."""
    _commit(wf, k, "UPDATE wf SET step = step + 1, done = step + 1 >= %s WHERE id = %s", (count, wf))


@app.task(ignore_result=True)
def commit_wake(wf: int, due: float) -> None:
    """Commit that it is over, and note how late that is."""
    _commit(wf, 0, "UPDATE wf SET done = true WHERE id = %s", (wf,))
    late.add(time.time() - due)


def connect() -> Any:
    """Return this thread's connection."""
    if not hasattr(_local, "database"):
        url = urlsplit(os.environ["BENCH_DATABASE_URL"])._replace(path=f"/{DATABASE}").geturl()
        _local.database = psycopg2.connect(url)
    return _local.database


def _commit(wf: int, k: int, update: str, values: tuple[object, ...]) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO wf_step (wf, step, result) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (wf, k, json.dumps(result_of(wf, k))),
        )
        cursor.execute(update, values)
    connection.commit()


def _ask_stub() -> None:
    """Over a connection that is kept."""
    stub = urlsplit(os.environ["BENCH_STUB_URL"])
    if not hasattr(_local, "http"):
        _local.http = http.client.HTTPConnection(stub.hostname or "", stub.port, timeout=30)
    _local.http.request("GET", "/")
    _local.http.getresponse().read()
