"""What the peers share: PostgreSQL and Redis of the run's own, both durable, and the stub that HTTP steps ask."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lemline_site.services import program
from lemline_site.services.postgresql import postgresql
from lemline_site.services.program import Program
from lemline_site.services.redis import redis

ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def running(*, with_statements: bool) -> Iterator[dict[str, str]]:
    """Run them; what drivers find in their environment.

    Args:
        with_statements: Have the database count what it is asked (pg_stat_statements).
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        log = stack.enter_context((folder / "services.log").open("ab"))
        port = program.free_port()
        stub = Program(name="stub", command=(sys.executable, "-m", "bench.stub", str(port)), folder=ROOT)
        database, broker = _database(folder / "postgresql", with_statements), redis(folder / "redis")
        pids = []
        for each in (database, broker, stub):
            process = program.start(each, log)
            stack.callback(program.stop, each, process)
            program.wait_until_ready(each, process)
            pids.append(str(process.pid))
        yield {
            "BENCH_DATABASE_URL": database.url,
            "BENCH_DATABASE_PID": pids[0],
            "BENCH_REDIS_URL": broker.url.removesuffix("/0"),
            "BENCH_REDIS_PID": pids[1],
            "BENCH_STUB_URL": f"http://127.0.0.1:{port}/",
            "BENCH_STUB_PID": pids[2],
            "BENCH_FOLDER": str(folder),
            **({"BENCH_STATEMENTS": "1"} if with_statements else {}),
        }


def _database(folder: Path, with_statements: bool) -> Program:
    """Return the server of `make up`. It notes besides when each transaction is committed: how late a timer is."""
    server = postgresql(folder)
    more = ["track_commit_timestamp=on"]
    if with_statements:
        more += ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=20000"]
    return replace(server, command=(*server.command, *(part for option in more for part in ("-c", option))))
