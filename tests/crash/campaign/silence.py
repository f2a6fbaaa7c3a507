"""Notes when a process that runs was not heard of for a lease: on a machine that has too much to do it counts as dead
for a while, and its work may rightly be done again.
"""

import contextlib
import threading
import time
from pathlib import Path
from typing import Self

import psycopg2

from tests.crash.harness import LEASE_SECONDS, Installation

LOOK_SECONDS = 0.3
SILENT_SECONDS = (0.9 * LEASE_SECONDS, 30.0)
"""Beyond the second, a process has no bad conscience but a wrong clock: that is no excuse."""

_SILENCES = "SELECT name, extract(epoch FROM clock_timestamp() - seen_at)::float FROM workflows_node"


class Silence:
    """Looks beside a block: `with Silence(installation) as silence:`; then `windows` tells."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.windows: list[tuple[float, float]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(psycopg2.Error):
                self._look()
            self._stopped.wait(LOOK_SECONDS)

    def _look(self) -> None:
        with contextlib.closing(psycopg2.connect(self._installation.environment["DATABASE_URL"])) as connection:
            connection.autocommit = True
            while not self._stopped.wait(LOOK_SECONDS):
                with connection.cursor() as cursor:
                    cursor.execute(_SILENCES)
                    self._note(dict(cursor.fetchall()))

    def _note(self, silences: dict[str, float]) -> None:
        least, most = SILENT_SECONDS
        for name, seconds in silences.items():
            if least < seconds < most and Path(f"/proc/{name.rpartition('/')[2]}").exists():
                now = time.time()
                self.windows.append((now - seconds, now + LEASE_SECONDS))
