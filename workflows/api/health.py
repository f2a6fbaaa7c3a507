"""Whether this process lives and can serve, and its figures for Prometheus."""

import time

from django.db import connection
from django.http import HttpRequest, HttpResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from workflows.api.bodies import answer
from workflows.dsl.jsontext import Json
from workflows.metrics import text
from workflows.models import Definition
from workflows.runtime.outages import OUTAGES, advice


def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return _show([{"name": "process", "status": "UP"}])


def ready(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served, 503 when the database is away.

    A broker that is away is no reason: what was accepted starts when it is back.
    """
    return _show([_database()])


def health(request: HttpRequest) -> HttpResponse:
    """Both at once."""
    return _show([{"name": "process", "status": "UP"}, _database()])


def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for Prometheus."""
    return HttpResponse(text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _database() -> dict[str, Json]:
    begun = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            # Of a table of ours: a server without them cannot serve either.
            cursor.execute(f"SELECT 1 FROM {Definition._meta.db_table} LIMIT 1")
    except OUTAGES as error:
        return {"name": "database", "status": "DOWN", "data": {"vendor": connection.vendor, "detail": advice(error)}}
    milliseconds = round((time.perf_counter() - begun) * 1000)
    return {"name": "database", "status": "UP", "data": {"vendor": connection.vendor, "milliseconds": milliseconds}}


def _show(checks: list[dict[str, Json]]) -> HttpResponse:
    is_up = all(check["status"] == "UP" for check in checks)
    body = {"status": "UP" if is_up else "DOWN", "checks": checks}
    return answer(body, status=200 if is_up else 503, headers={} if is_up else {"Retry-After": "2"})
