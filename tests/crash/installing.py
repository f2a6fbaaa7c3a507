"""Opens an installation on a database, which is the default one of this process meanwhile."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tests import databases, processes
from tests.crash.harness import DEV, KEY, LEASE_SECONDS, Commands, Installation
from workflows.runtime import accounts


@contextlib.contextmanager
def installed(folder: Path, database: str, commands: Commands, **more: str) -> Iterator[Installation]:
    """Open an installation on a database that exists.

    Args:
        folder: Where its logs and faults are kept.
        database: URL of the database. The tables are made.
        commands: Its processes.
        more: Environment of the processes.
    """
    before = settings.LEMLINE.database.url
    databases.use(database)
    if commands is not DEV:  # which makes both itself
        databases.migrate()
        accounts.ensure_api_key(KEY)
    environment = {
        **processes.environment(folder),
        "LEMLINE_ACTIVITIES": "tests.crash.plug",
        "LEMLINE_EXECUTION_LEASE": f"{LEASE_SECONDS}s",
        "LEMLINE_EXECUTION_POOLS_COMPUTE_MAX_SIZE": "16",
        "LEMLINE_EXECUTION_POOLS_IO_MAX_SIZE": "16",
        "LEMLINE_DEV_API_KEY": KEY,
        **more,
    }
    installation = Installation(folder, environment, commands)
    try:
        installation.open()
        yield installation
    finally:
        installation.close()
        databases.use(before)
