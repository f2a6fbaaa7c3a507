"""What one process has of the runtime: a clock, records, a stepper, and the way to the workers."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from workflows import models
from workflows.engine.expressions import keep_programs
from workflows.runtime.admission import Admission
from workflows.runtime.backlog import Backlog
from workflows.runtime.children import Children, Find
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.cluster import Presence
from workflows.runtime.consequences import Consequences
from workflows.runtime.definitions import Definitions
from workflows.runtime.endings import Endings
from workflows.runtime.history_policy import HistoryPolicy
from workflows.runtime.holding import Holding
from workflows.runtime.jq_sandbox import open_sandbox
from workflows.runtime.outbox import Outbox, read_wishes
from workflows.runtime.ports import Secrets, Workers
from workflows.runtime.postgres import PostgresRecords
from workflows.runtime.records import Records
from workflows.runtime.secrets import ProvidedSecrets
from workflows.runtime.sqlite import SqliteRecords
from workflows.runtime.step import Steps
from workflows.runtime.stepper import Stepper
from workflows.runtime.successions import run_ended

log = logging.getLogger("lemline.process")

WORKERS = "workers.dispatcher.connect"
"""What gives this process its way to the workers: named, since the runtime does not know Celery."""

LATEST_SECONDS = 1.0
"""How long a process may go on starting what was the latest version."""


class Process:
    """The runtime of this process. Its stepper runs from the first use on."""

    def __init__(
        self,
        connect: Callable[[Presence], Workers],
        roles: str,
        records: Records | None = None,
        find: Find | None = None,
    ) -> None:
        config = settings.LEMLINE
        name = f"{settings.LEMLINE_NODE[:200]}/{roles or 'door'}/{os.getpid()}"
        self.presence = Presence(name=name, roles=roles)
        self.workers = workers = connect(self.presence)
        self.clock = DatabaseClock()
        # Doors have no heartbeat of their own, and ask all the same who lives.
        self.presence.horizon = lambda: self.clock.now() - config.execution.lease
        self.records = records or make_records()
        self.definitions = _caches(has_table=find is None)
        self.secrets: Secrets = ProvidedSecrets(config.secrets.directory, config.secrets.env_prefix)
        self.endings = Endings()
        # Without a table of definitions, there is none of sinks.
        self.outbox = Outbox(read_wishes if find is None else list)
        self.steps = Steps(
            self.definitions,
            secret_exists=self.has_secret,
            history=HistoryPolicy(config.history.level, config.history.max_value),
            look_seconds=config.execution.lease.total_seconds() / 3,
            outbox=self.outbox,
        )
        self.stepper = Stepper(self.records, self.clock, self.steps, Holding(self.presence))
        self.children = Children(
            self.records, self.clock, self.stepper.begin, self.stepper.submit, find or models.Definition.objects.named
        )
        self.stepper.consequences = Consequences(
            self.records, workers, self.clock, self.children, self.endings, self.stepper.submit, self.outbox
        )
        self.admission = Admission(config.messaging.back_pressure)
        self.backlog = Backlog(config.event_processor.max_events)
        if find is None:
            # With a table of definitions, there is one of schedules.
            self.stepper.consequences.run_ended = run_ended
        self.sandbox = open_sandbox()
        self._latest: dict[tuple[str, str, str], tuple[float, models.Definition | None]] = {}

    @property
    def functions(self) -> Callable[[str], object | None]:
        """Looks up a registered Python function by name."""
        return self.workers.function

    def has_secret(self, name: str) -> bool:
        """Return whether a provider has a secret."""
        try:
            self.secrets.read(name)
        except KeyError:
            return False
        return True

    def resolve(self, namespace: str, name: str, version: str) -> models.Definition | None:
        """Return the definition to start, as of at most a second ago."""
        key, now = (namespace, name, version), time.monotonic()
        seen, known = self._latest.get(key, (0.0, None))
        if known is None or now - seen > LATEST_SECONDS:
            known = models.Definition.objects.named(namespace, name, version)
            self._latest[key] = (now, known)
        return known

    def forget_latest(self) -> None:
        """What was just registered or deleted here counts here at once."""
        self._latest.clear()


def _caches(*, has_table: bool) -> Definitions:
    """Bound what this process remembers of definitions and programs. Without a table, all of them are remembered."""
    caching = settings.LEMLINE.cache
    programs, definitions = caching.expressions, caching.workflow_definitions
    span = programs.ttl.total_seconds()
    keep_programs(programs.max_size if programs.enabled else 0, lambda: time.monotonic() // span)
    is_kept = definitions.enabled or not has_table
    return Definitions(definitions.max_size if is_kept else 0, definitions.ttl.total_seconds())


def make_records() -> Records:
    """Return the records of the default database."""
    return PostgresRecords() if connection.vendor == "postgresql" else SqliteRecords()


_current: Process | None = None
_lock = threading.Lock()


def current() -> Process:
    """Return this process's runtime, assembled and started at the first call."""
    if _current is not None:
        return _current
    return begin(import_string(WORKERS))


def begin(connect: Callable[[Presence], Workers], roles: str = "") -> Process:
    """Assemble and start this process's runtime with these workers, unless it has begun."""
    global _current
    with _lock:
        if _current is None:
            process = Process(connect, roles)
            # While the database is away, the wall clock has to do until the first step.
            with contextlib.suppress(Exception):
                process.clock.set(process.records.now())
            process.stepper.start()
            _current = process
        return _current


def end() -> None:
    """Take what has arrived, and end this process's runtime."""
    global _current
    with _lock:
        process, _current = _current, None
    if process is not None:
        process.stepper.stop()
        process.sandbox.close()


def _forget() -> None:
    """Threads do not survive a fork: a child begins anew."""
    global _current, _lock
    _current, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
