"""What the database was asked, by kind of statement, where `--statements` had it count."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.driver import Row

_LIST = r"\((?:[^()]|\([^()]*\))*\)"
_ROWS = re.compile(rf"VALUES {_LIST}(?:, ?{_LIST})*")
_ARRAY = re.compile(r"ARRAY\[[^\]]*\]")
_NUMBERS = re.compile(r"\$\d+")
_SPACE = re.compile(r"\s+")

MARK = "/* bench */"
"""In what the driver itself asks meanwhile: that is nobody's cost."""


@dataclass
class Counts:
    """Filled at the end of `counted`."""

    found: list[tuple[str, int, int, float]] = field(default_factory=list)
    """Statement, calls, rows, milliseconds."""

    def figures(self, steps: int) -> Row:
        """Return the member of a row, per 1000 steps, what took longest first."""
        if not self.found:
            return {}
        return {
            "statements": [
                {
                    "statement": statement, "calls": round(calls / steps * 1000, 1),
                    "rows": round(rows / steps * 1000, 1), "ms": round(milliseconds / steps * 1000, 2),
                }
                for statement, calls, rows, milliseconds in self.found
            ]
        }  # fmt: skip


@contextlib.contextmanager
def counted() -> Iterator[Counts]:
    """Count what all processes ask meanwhile; nothing unless the database was started for it."""
    counts = Counts()
    if not os.environ.get("BENCH_STATEMENTS"):
        yield counts
        return
    _ask("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    _ask("SELECT pg_stat_statements_reset()")
    yield counts
    counts.found = merged(
        _ask(
            "SELECT query, calls, rows, total_exec_time FROM pg_stat_statements"
            " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
            f" AND query NOT LIKE '%{MARK}%' AND query NOT LIKE '%pg_stat_statements%'"
        )
    )


def merged(found: list[Any]) -> list[tuple[str, int, int, float]]:
    """Return statements with those added up that differ in the number of their rows only, the longest first."""
    sums: dict[str, tuple[int, int, float]] = {}
    for query, calls, rows, milliseconds in found:
        kind = normalised(query)
        before = sums.get(kind, (0, 0, 0.0))
        sums[kind] = (before[0] + calls, before[1] + rows, before[2] + milliseconds)
    return sorted(((kind, *each) for kind, each in sums.items()), key=lambda each: -each[3])


def normalised(query: str) -> str:
    """Return a statement on one line, its rows and the numbers of its values left out."""
    one_line = _ROWS.sub("VALUES (…), …", _SPACE.sub(" ", query).strip())
    return _NUMBERS.sub("$", _ARRAY.sub("ARRAY[…]", one_line))


def _ask(sql: str) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
