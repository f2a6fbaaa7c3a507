"""Tables as they are after months: ended instances with their history, or many that wait.

    DATABASE_URL=postgresql://… python -m bench.growth --instances 1000000 --history 10000000

PostgreSQL makes the rows itself, in the order in which they would have come: ids are of their time, the history of an
instance lies together. Of a thousand instances nine are faulted and one is cancelled; these keep a checkpoint, as real
ones do. What is there already stays: the next call adds to it.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

NAMESPACE = "growth"
CHUNK = 20_000
"""Instances made in one transaction."""

_DEFINITION = """\
document: {dsl: 1.0.3, namespace: growth, name: grown, version: 1.0.0}
do:
  - step: {call: bench/step, with: {wf: '${ .wf }', k: 0}}
"""
# A UUIDv7: the time of creation stands in front, the rest comes from the number.
_NUMBERS = """\
WITH numbers AS (
    SELECT n, at, status,
        (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
            || '8' || substr(md5(n::text), 4, 15))::uuid AS id
    FROM generate_series(%(begin)s, %(end)s) n,
        LATERAL (SELECT
            %(now)s::timestamptz - %(days)s * interval '1 day' * (1 - (n - %(first)s) / %(count)s::float) AS at,
            CASE WHEN n %% 1000 < 9 THEN 'faulted' WHEN n %% 1000 = 9 THEN 'cancelled' ELSE 'completed' END AS status
        ) one
)
"""
_RUNTIME = "https://serverlessworkflow.io/spec/1.0.0/errors/runtime"
_PROBLEM = f"""convert_to('{{"type":"{_RUNTIME}","status":500,"title":"grown","instance":"/do/0/step"}}', 'UTF8')"""
_INPUT = """convert_to(format('{"wf":%%s}', n), 'UTF8')"""
_OUTPUT = """convert_to(format('{"wf":%%s,"step":4,"ok":true,"value":28}', n), 'UTF8')"""

_INSTANCE = {
    "id": "id", "definition_id": "%(definition)s", "namespace": f"'{NAMESPACE}'", "workflow": "'grown'",
    "version": "'1.0.0'", "status": "status", "input": _INPUT, "context": "convert_to('{}', 'UTF8')",
    "output": f"CASE WHEN status = 'completed' THEN {_OUTPUT} END",
    "problem": f"CASE WHEN status = 'faulted' THEN {_PROBLEM} END",
    "problem_type": f"CASE WHEN status = 'faulted' THEN '{_RUNTIME}' ELSE '' END",
    "created_at": "at", "started_at": "at", "ended_at": "at + interval '100 ms'",
}  # fmt: skip
_CHECKPOINT = {
    "instance": "id", "definition": "%(definition)s", "input": _INPUT, "step": "%(each)s", "parked": "true",
    # Nobody reads it before somebody retries: what counts is its size.
    "state": "decode('00', 'hex') || convert_to(repeat('grown state ', 30), 'UTF8')",
}  # fmt: skip
_PHASES = "r = 0 OR r = %(each)s - 1"
_HISTORY = {
    "instance": "id", "step": "r", "ordinal": "0", "is_phase": _PHASES,
    "position": f"CASE WHEN {_PHASES} THEN '' ELSE '/do/' || r || '/step' END",
    "name": f"CASE WHEN {_PHASES} THEN '' ELSE 'step' END", "kind": f"CASE WHEN {_PHASES} THEN '' ELSE 'call' END",
    "status": f"CASE WHEN r = %(each)s - 1 THEN status WHEN {_PHASES} THEN 'running' ELSE 'completed' END",
    "queued_at": f"CASE WHEN {_PHASES} THEN NULL ELSE at END",
    "started_at": f"CASE WHEN {_PHASES} THEN NULL ELSE at END", "ended_at": "at + r * interval '10 ms'",
    "pool": f"CASE WHEN {_PHASES} THEN '' ELSE 'compute' END",
    "worker": f"CASE WHEN {_PHASES} THEN '' ELSE 'compute@host' END",
    "input": f"CASE WHEN {_PHASES} THEN NULL ELSE {_INPUT} END",
    "output": f"CASE WHEN {_PHASES} THEN NULL ELSE {_OUTPUT} END",
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Make what the flags say."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description="Fill the tables of DATABASE_URL.")
    parser.add_argument("--instances", type=int, default=1_000_000, help="ended instances (default: 1,000,000)")
    parser.add_argument("--history", type=int, default=10_000_000, help="their history rows (default: 10,000,000)")
    parser.add_argument("--days", type=float, default=6, help="the oldest ended so long ago (default: 6)")
    parser.add_argument("--quiet", action="store_true", help="no word of progress")
    options = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lemline_site.settings")
    import django

    django.setup()
    grow(options.instances, options.history, days=options.days, quiet=options.quiet)
    return 0


def grow(instances: int, history: int, *, days: float = 6, quiet: bool = True) -> None:
    """Add ended instances and their history, then vacuum, so that autovacuum has nothing to do afterwards.

    Args:
        instances: How many ended.
        history: Rows in all; each instance gets the same number, two at least.
        days: They ended evenly over the last days.
        quiet: Without a word of progress.
    """
    from django.utils import timezone

    from workflows.models import Checkpoint, History, Instance

    first, last = _first_number(), _first_number() + instances
    values = {
        "first": first, "count": instances, "days": days, "now": timezone.now(), "definition": _definition(),
        "each": max(2, history // max(1, instances)),
    }  # fmt: skip
    for begin in range(first, last, CHUNK):
        chunk = {**values, "begin": begin, "end": min(begin + CHUNK, last) - 1}
        _run(_insert(Instance, _INSTANCE, "numbers"), chunk)
        _run(_insert(Checkpoint, _CHECKPOINT, "numbers WHERE status <> 'completed'"), chunk)
        # It depends on n, so that nothing but a loop is possible, which keeps the order without a sort.
        rows = "numbers, LATERAL generate_series(n - n, %(each)s - 1) r"
        _run(_insert(History, _HISTORY, rows), chunk)
        if not quiet:
            print(f"{chunk['end'] - first + 1:>12,} instances", flush=True)
    for model in (Instance, Checkpoint, History):
        _run(f"VACUUM (ANALYZE) {model._meta.db_table}", None)


def _first_number() -> int:
    """Return a number that no earlier call gave out."""
    from workflows.models import Instance

    return Instance.objects.filter(namespace=NAMESPACE).count()


def _definition() -> int:
    """Return the row of the definition that all of them had."""
    from django.utils import timezone

    from workflows.models import Definition

    row, _ = Definition.objects.get_or_create(
        namespace=NAMESPACE, name="grown", version="1.0.0", is_current=True,
        defaults={
            "version_key": "1.0.0", "digest": sha256(_DEFINITION.encode()).hexdigest(), "text": _DEFINITION,
            "created_at": timezone.now(),
        },
    )  # fmt: skip
    return int(row.pk)


def _insert(model: Any, values: Mapping[str, str], rows: str) -> str:
    """Return an INSERT ... SELECT; columns that are not named get the default that the model gives them."""
    columns = {
        field.column: field
        for field in model._meta.concrete_fields
        if not field.get_internal_type().endswith("AutoField")
    }
    given = {column: values.get(column) or _default(field) for column, field in columns.items()}
    names = ", ".join(f'"{column}"' for column in given)
    return f"INSERT INTO {model._meta.db_table} ({names})\n{_NUMBERS}SELECT {', '.join(given.values())} FROM {rows}"


def _default(field: Any) -> str:
    from psycopg2.extensions import adapt
    from psycopg2.extras import Json

    value = field.get_default()
    if isinstance(value, dict | list):
        value = Json(value)
    return "NULL" if value is None else str(adapt(value)).replace("%", "%%")


def _run(sql: str, values: Mapping[str, object] | None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
