"""What a query reads of large tables: the rows it is about and no others, counted by PostgreSQL itself."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from bench.growth import grow
from tests.runtimes import ONE, Runtime, define
from workflows.models import Checkpoint, Instance
from workflows.runtime import dead_letters, operations, process, retention
from workflows.runtime.operations import Actor, InstanceFilter
from workflows.runtime.queues import read_queues

TABLES = ("instance", "checkpoint", "history", "label", "receivedevent", "auditentry")
ROWS = 20_000
MOST_READ = 4000
"""Of tables with at least twenty thousand rows each: what a page, a window or a batch may cost."""

EVERYONE = Actor(name="tests", door="api")
FILTERS: Mapping[str, tuple[InstanceFilter, Actor]] = {
    "all": (InstanceFilter(), EVERYONE),
    "a namespace": (InstanceFilter(), Actor(name="tests", door="api", namespaces=frozenset({"quiet"}))),
    "a workflow": (InstanceFilter(workflow="growth/grown"), EVERYONE),
    "a workflow without instances": (InstanceFilter(workflow="quiet/none"), EVERYONE),
    "completed": (InstanceFilter(status="completed"), EVERYONE),
    "faulted": (InstanceFilter(status="faulted"), EVERYONE),
    "suspended, which none is": (InstanceFilter(status="suspended"), EVERYONE),
    "faulted of a workflow": (InstanceFilter(status="faulted", workflow="growth/grown"), EVERYONE),
    "an error": (InstanceFilter(error="runtime"), EVERYONE),
    "an error that none has": (InstanceFilter(error="timeout"), EVERYONE),
    "a label of many": (InstanceFilter(labels={"team": "blue"}), EVERYONE),
    "a label of one": (InstanceFilter(labels={"order": "17"}), EVERYONE),
    "a label of none": (InstanceFilter(labels={"order": "none"}), EVERYONE),
    "two labels": (InstanceFilter(labels={"order": "17", "team": "blue"}), EVERYONE),
    "since yesterday": (InstanceFilter(since=timezone.now() - timedelta(days=1)), EVERYONE),
    "until long ago": (InstanceFilter(until=timezone.now() - timedelta(days=19)), EVERYONE),
}
PAGES = (
    "instance/", "instance/?status__exact=faulted", "instance/?status=faulted", "instance/?workflow=growth/grown",
    "instance/?q=grown", "instance/?q=order:17", "instance/?q=ffff", "deadletter/", "checkpoint/", "node/",
)  # fmt: skip


@pytest.fixture
def grown(postgresql: str) -> None:
    """Tables of twenty thousand rows, most of them three weeks to some minutes old."""
    grow(ROWS, 3 * ROWS, days=21)
    labels = "INSERT INTO workflows_label (instance, key, value, created_at) SELECT id, '{}', {}, created_at"
    literal = "'blue'"
    rest = f"FROM generate_series(1, {ROWS}) n"
    statements = (
        f"{labels.format('team', literal)} FROM workflows_instance",
        f"{labels.format('order', '(row_number() OVER ())::text')} FROM workflows_instance",
        f"""INSERT INTO workflows_checkpoint
            (instance, definition, priority, input, state, step, has_open_work, parked)
            SELECT gen_random_uuid(), 1, 3, '', '', 1, false, true {rest}""",
        f"""INSERT INTO workflows_receivedevent (scope, source, event_id, type, event, by, received_at)
            SELECT '', '/s', n::text, 't', '', '', now() - n * interval '1 minute' {rest}""",
        f"""INSERT INTO workflows_auditentry (at, by, action, subject, reason, door)
            SELECT now() - n * interval '10 minutes', 'ada', 'a', '', '', 'api' {rest}""",
    )
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(f'workflows_{table}' for table in TABLES)}")


@pytest.fixture
def runtime(grown: None, new_runtime: Callable[[], Runtime]) -> Iterator[Runtime]:
    yield new_runtime()
    process.end()


def counters() -> dict[str, tuple[int, int]]:
    """Table to its sequential scans and the rows that were read, through indexes or without."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT relname, seq_scan, seq_tup_read + COALESCE((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i"
            " WHERE i.relid = t.relid), 0)::bigint FROM pg_stat_user_tables t WHERE relname = ANY(%s)",
            ([f"workflows_{table}" for table in TABLES],),
        )
        return {name: (scans, read) for name, scans, read in cursor.fetchall()}


def dear(asked: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """Ask, and return what read a table through, or more of its indexes than it may."""
    found = {}
    for name, ask in asked.items():
        before = counters()
        ask()
        for table, (scans, read) in counters().items():
            scanned, rows = scans - before[table][0], read - before[table][1]
            if scanned or rows > MOST_READ:
                found[name] = f"{table}: {scanned} scans, {rows} rows"
    return found


def test_the_count_sees_a_table_that_is_read_through(runtime: Runtime) -> None:
    found = dear({"count": Instance.objects.filter(version__endswith="2").count})

    assert found == {"count": f"workflows_instance: 1 scans, {ROWS} rows"}


def test_the_count_sees_an_index_that_is_read_through(runtime: Runtime) -> None:
    found = dear(
        {"all": lambda: list(Instance.objects.order_by("created_at").values_list("created_at")[: MOST_READ * 2])}
    )

    # PostgreSQL may read some entries more than it is asked for.
    assert found["all"] in [f"workflows_instance: 0 scans, {MOST_READ * 2 + more} rows" for more in range(100)]


def test_a_step_reads_its_own_rows(runtime: Runtime) -> None:
    define(ONE)
    known = [str(key) for key in Checkpoint.objects.values_list("pk", flat=True)[:50]]
    instance = runtime.start()
    records = runtime.records

    found = dear(
        {
            "start": runtime.start,
            "start with a key": lambda: runtime.start(idempotency_key="k", may_exist=True),
            "step": lambda: runtime.succeed(instance, "work"),
            "lock": lambda: (records.lock(known, wait=False), records.rollback()),
            "peek": lambda: records.peek(known),
            "steps": lambda: records.steps(known),
            "next due": records.next_due,
            "lock due": lambda: (records.lock_due(500, ()), records.rollback()),
            "open work": lambda: records.open_work(500, ""),
            "looked": lambda: records.looked(known, 10),
            "postpone": lambda: records.postpone(known, 10),
            "ring all": records.ring_all,
            "look": runtime.timekeeper.look,
            "sweep": runtime.sweeper.sweep,
        }
    )

    assert found == {}


def test_a_list_reads_a_page_whatever_is_wanted(runtime: Runtime) -> None:
    def ask(wanted: InstanceFilter, actor: Actor) -> object:
        page = operations.list_instances(wanted, actor=actor, limit=50, cursor=None)
        return page.next and operations.list_instances(wanted, actor=actor, limit=50, cursor=page.next)

    found = dear({name: lambda each=each: ask(*each) for name, each in FILTERS.items()})  # type: ignore[misc]

    assert found == {}


def test_one_instance_reads_its_own_rows(runtime: Runtime) -> None:
    instance: UUID = Instance.objects.values_list("pk", flat=True)[ROWS // 2]

    found = dear(
        {
            "instance": lambda: operations.get_instance(instance, actor=EVERYONE),
            "history": lambda: operations.history(instance, actor=EVERYONE, limit=50, cursor=None),
            "dead letters": lambda: dead_letters.list_dead_letters(actor=EVERYONE, kind=None, limit=50, cursor=None),
            "queues": read_queues,
        }
    )

    assert found == {}


def test_an_admin_page_reads_a_page(runtime: Runtime) -> None:
    User.objects.create_superuser("root", password=str(uuid4()))
    browser = Client()
    browser.force_login(User.objects.get())

    def open_page(path: str) -> None:
        assert browser.get(f"/admin/workflows/{path}", follow=True).status_code == 200

    found = dear({path: lambda path=path: open_page(path) for path in PAGES})  # type: ignore[misc]

    assert found == {}


def test_a_batch_of_what_is_removed_reads_the_batch(runtime: Runtime) -> None:
    ages = retention.Ages(
        instances=timedelta(days=20),
        events=timedelta(days=13),
        fires=timedelta(days=30),
        gatherings=timedelta(days=30),
        audit=timedelta(days=138),
    )
    batches = retention.removals(ages, timezone.now())

    found = dear({f"batch {number}": lambda: next(batches) for number in range(7)})

    assert found == {}
