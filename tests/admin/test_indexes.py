"""Lists stay quick with very many instances: PostgreSQL walks an index and stops."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.admin.conftest import STEER, browser_of
from tests.doors import FAILING, SLEEPER, Caller, caller, register, start
from workflows.runtime import process

ROWS = 100_000

COPIES = """
INSERT INTO workflows_instance (id, definition_id, namespace, workflow, version, status, priority, labels, input,
    problem_type, parent_wait, request_digest, created_at, started_at, ended_at)
SELECT gen_random_uuid(), definition_id, namespace, workflow || mod(number, 50), version, 'completed', priority, labels,
    input, '', '', '', created_at - number * interval '1 second', started_at, created_at
FROM workflows_instance, generate_series(1, %s) AS number WHERE workflow = 'nap'
"""


@pytest.fixture
def crowded(postgresql: str) -> Iterator[str]:
    """A hundred thousand instances that ended, one that waits and one that faulted; the id of the one that waits."""
    register(SLEEPER, name="nap")
    register(FAILING, name="fail")
    name = start("nap").id
    start("fail")
    with connection.cursor() as cursor:
        cursor.execute(COPIES, [ROWS])
        cursor.execute("ANALYZE workflows_instance")
    yield name
    process.end()


def check_indexed(statements: CaptureQueriesContext) -> None:
    asked = [query["sql"] for query in statements if 'FROM "workflows_instance"' in query["sql"]]
    assert asked
    for statement in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan on workflows_instance" not in plan, f"{statement}\n{plan}"


ADMIN = ("", "?status=waiting", "?status=faulted", "?workflow=tests/nap7", "?q=tests/nap7", "?q={id}", "?p=2", "?o=1")
API = (
    "",
    "?status=waiting",
    "?status=failed",
    "?workflow=tests/nap7",
    "?limit=500",
    "?workflow=tests/nap7&status=faulted",
)


def test_no_list_reads_the_whole_table(crowded: str) -> None:
    root: Client = browser_of("root", superuser=True)
    limited: Client = browser_of("ada", *STEER, groups=("namespace:tests",))
    api: Caller = caller()

    with CaptureQueriesContext(connection) as statements:
        pages = [
            browser.get(f"/admin/workflows/instance/{query.format(id=crowded[:13])}").status_code
            for browser in (root, limited)
            for query in ADMIN
        ]
        lists = [api.get(f"/instances{query}").status for query in API]

    assert set(pages) | set(lists) == {200}
    check_indexed(statements)


def test_deleting_a_definition_counts_its_open_instances_by_index(crowded: str) -> None:
    api = caller()

    with CaptureQueriesContext(connection) as statements:
        answer = api.delete("/workflows/tests/nap/1.0.0")

    assert answer.status == 409
    check_indexed(statements)
