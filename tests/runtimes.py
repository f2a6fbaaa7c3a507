"""The runtime of one or several processes within a test. Nothing of it runs by itself: a test takes each turn.

A second `Runtime` is a second process: its own stepper, clock and memory, the same database. Two that shall hold
locks at the same time belong in two threads (`Beside`), since connections belong to threads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Event
from typing import Any
from uuid import UUID

import msgspec
import uuid6
from django.db import connection, connections
from django.utils import timezone

from tests.doors import text_of
from workflows import models
from workflows.dsl.jsontext import decode, encode
from workflows.engine import State, decode_state, encode_state, facts
from workflows.engine.commands import RunActivity
from workflows.runtime.cluster import Presence
from workflows.runtime.ports import Delivery, DispatchError, Outcome
from workflows.runtime.process import Process, make_records
from workflows.runtime.records import Birth, Records, UnreachableError, pack, unpack
from workflows.runtime.registrations import version_key
from workflows.runtime.step import AnyFact, Due
from workflows.runtime.sweeper import Sweeper
from workflows.runtime.timekeeper import Timekeeper
from workflows.runtime.work import Pick

DEADLINE_SECONDS = 20.0

ONE = "do: [{work: {call: work}}]"
"""One activity."""

TWO = "do: [{first: {call: work}}, {second: {call: work}}]"
"""Two, one after the other."""

BOTH = "do: [{both: {fork: {branches: [{a: {call: work}}, {b: {call: work}}]}}}]"
"""Two at once."""


class Bells:
    """Workers who do nothing: what was rung for stands in a list."""

    def __init__(self) -> None:
        self.rung: list[Delivery] = []
        self.dropped: list[tuple[str, str]] = []
        self.is_away = False
        self.waiting: dict[str, int] = {}
        self.dead: set[tuple[str, str, int]] = set()
        """Rings that a dead process had begun."""

        self.knows_no_claims = False

    def dispatch(self, deliveries: Sequence[Delivery]) -> None:
        if self.is_away:
            raise DispatchError("the broker is away")
        self.rung.extend(deliveries)

    def cancel(self, instance_id: str, wait_id: str) -> None:
        self.dropped.append((instance_id, wait_id))

    def queue_of(self, command: RunActivity, priority: int) -> str:
        return self.queue_label(command.pool or "compute", priority)

    def queue_label(self, pool: str, level: int) -> str:
        return f"{pool}/{level}"

    def depths(self) -> Mapping[str, int]:
        if self.is_away:
            raise DispatchError("the broker is away")
        return self.waiting

    def died_with(self, instance_id: str, wait_id: str, ring: int) -> bool | None:
        return None if self.knows_no_claims else (instance_id, wait_id, ring) in self.dead

    def function(self, name: str) -> object | None:
        return object()

    @property
    def names(self) -> list[str]:
        """Tasks that were rung for, with the ring where it was not the first."""
        return [
            f"{each.command.name} {each.command.ring}" if each.command.ring > 1 else each.command.name
            for each in self.rung
        ]


class Watched:
    """Records with fault points: what a test has put before or after a method is called there."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.before: dict[str, Callable[..., object]] = {}
        """Called with the method's arguments."""

        self.after: dict[str, Callable[..., object]] = {}
        """Called with what it gave."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._records, name)

        def call(*args: Any, **options: Any) -> Any:
            if name in self.before:
                self.before[name](*args)
            given = method(*args, **options)
            if name in self.after:
                self.after[name](given)
            return given

        return call


class Runtime:
    """One process."""

    def __init__(self) -> None:
        self.bells = Bells()
        self.records = Watched(make_records())
        self.process = Process(self._connect, "tests", self.records)  # type: ignore[arg-type]
        self.stepper = self.process.stepper
        self.timekeeper = Timekeeper(self.records, self.process.clock, self)  # type: ignore[arg-type]
        self.sweeper = self.new_sweeper()

    def _connect(self, presence: Presence) -> Bells:
        return self.bells

    def new_sweeper(self, lease_seconds: float = 30.0) -> Sweeper:
        process = self.process
        return Sweeper(
            self.records,
            process.clock,
            self.bells,
            process.children,
            self.stepper.submit,
            lease_seconds,
            3,
        )

    def close(self) -> None:
        if self.stepper._thread is not None:
            self.stepper.stop()
        self.stepper._aside.shutdown()
        self.process.sandbox.close()

    def settle(self) -> None:
        """Take what has arrived, and what follows from it."""
        stepper = self.stepper
        while not stepper._inbox.empty() or stepper._postponed or stepper._beside:
            stepper.turn()

    def pick(self, pick: Pick) -> None:
        """Take what is due now, as the timekeeper wants it."""
        self.stepper.pick(pick)
        self.settle()

    def start(self, name: str = "played", input: Any = None, **more: Any) -> str:
        """Begin an instance and return its id."""
        birth = self.birth(name, input, **more)
        self.stepper.begin(birth, lambda _: None)
        self.settle()
        return birth.instance_id

    def birth(self, name: str = "played", input: Any = None, **more: Any) -> Birth:
        definition = models.Definition.objects.named("tests", name)
        assert definition is not None
        values = {
            "instance_id": str(uuid6.uuid7()), "definition": definition.pk, "namespace": "tests", "workflow": name,
            "version": definition.version, "priority": 3, "labels": "{}",
            "input": encode({} if input is None else input), "created_at": self.process.clock.now(), **more,
        }  # fmt: skip
        return Birth(**values)

    def apply(self, instance: str, *given: AnyFact) -> list[Outcome]:
        """Have these facts arrive together, and return what became of each."""
        outcomes: dict[int, Outcome] = {}
        for number, fact in enumerate(given):
            self.stepper.submit(instance, fact, lambda outcome, number=number: outcomes.update({number: outcome}))
        self.settle()
        return [outcomes[number] for number in range(len(given))]

    def succeed(self, instance: str, task: str, output: Any = None) -> Outcome:
        """Answer the open activity of a task."""
        return self.apply(instance, self.success(instance, task, output))[0]

    def success(self, instance: str, task: str, output: Any = None) -> facts.ActivitySucceeded:
        return facts.ActivitySucceeded(
            at=self.process.clock.now(), wait_id=wait_of(instance, task), output=output, worker="w"
        )

    @property
    def now(self) -> datetime:
        return self.process.clock.now()


class Beside:
    """Runs things in threads of their own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8)

    def run(self, work: Callable[..., Any], *args: Any) -> "Future[Any]":
        """Begin something; its connections are closed after it."""

        def closing() -> Any:
            try:
                return work(*args)
            finally:
                connections.close_all()

        return self._threads.submit(closing)

    def close(self) -> None:
        self._threads.shutdown()


class Gate:
    """A place where a thread stops until the test opens it."""

    def __init__(self) -> None:
        self._reached = Event()
        self._opened = Event()

    def __call__(self, *_: object) -> None:
        self._reached.set()
        assert self._opened.wait(DEADLINE_SECONDS), "nobody opened the gate"

    def await_arrival(self) -> None:
        assert self._reached.wait(DEADLINE_SECONDS), "nobody came to the gate"

    def open(self) -> None:
        self._opened.set()


@contextmanager
def once(hooks: dict[str, Callable[..., object]], name: str, hook: Callable[..., object]) -> Iterator[None]:
    """Have a hook be called the first time only."""

    def first(*args: object) -> None:
        hooks.pop(name, None)
        hook(*args)

    hooks[name] = first
    yield
    assert name not in hooks, f"{name} was not called"


def define(body: str, *, name: str = "played", version: str = "1.0.0") -> models.Definition:
    """Store a definition."""
    text = text_of(body, name=name, version=version)
    row: models.Definition = models.Definition.objects.create(
        namespace="tests", name=name, version=version, version_key=version_key(version), text=text,
        digest=sha256(text.encode()).hexdigest(), created_at=timezone.now(),
    )  # fmt: skip
    return row


def instance_of(instance: str) -> models.Instance:
    return models.Instance.objects.get(pk=instance)


def status_of(instance: str) -> str:
    return str(instance_of(instance).status)


def output_of(instance: str) -> Any:
    stored = instance_of(instance).output
    return None if stored is None else decode(bytes(stored))


def problem_of(instance: str) -> Any:
    stored = instance_of(instance).problem
    return None if stored is None else decode(bytes(stored))


def checkpoint_of(instance: str) -> models.Checkpoint | None:
    return models.Checkpoint.objects.filter(pk=instance).first()


def state_of(instance: str) -> State:
    row = models.Checkpoint.objects.get(pk=instance)
    return decode_state(unpack(bytes(row.state)), bytes(row.input))


def wait_of(instance: str, task: str) -> str:
    """Return the id of the open wait of a task's activity."""
    state = state_of(instance)
    found = [
        name
        for name, wait in state.waits.items()
        if wait.kind == "activity" and state.frames[wait.frame].position.rpartition("/")[2] == task
    ]
    assert found, f"{task} waits for nothing; open are {list(state.waits)}"
    return found[0]


def runs_of(instance: str) -> list[str]:
    """Return the ended runs, with their status where it is not `completed`."""
    rows = models.History.objects.filter(instance=instance, is_phase=False).order_by("step", "ordinal")
    return [row.name if row.status == "completed" else f"{row.name} {row.status}" for row in rows]


def phases_of(instance: str) -> list[str]:
    rows = models.History.objects.filter(instance=instance, is_phase=True).order_by("step", "ordinal")
    return [row.status for row in rows]


def make_due(instance: str) -> None:
    """Let the time come that an instance waits for."""
    assert models.Checkpoint.objects.filter(pk=instance, due_at__isnull=False).update(due_at=timezone.now())


def let_time_pass(instance: str, **by: float) -> None:
    """Move all timers of an instance into the past: by a minute, or by what is said."""
    state = state_of(instance)
    shift = timedelta(**by) if by else timedelta(minutes=1)
    state.waits = {
        name: msgspec.structs.replace(wait, due_at=wait.due_at - shift) if wait.due_at else wait
        for name, wait in state.waits.items()
    }
    models.Checkpoint.objects.filter(pk=instance).update(state=pack(encode_state(state)), due_at=state.due_at())


def long_ago(instance: str) -> None:
    """Let a minute pass since everything of an instance was rung, and since the sweeper looked."""
    state, ago = state_of(instance), timedelta(minutes=1)
    state.waits = {
        name: msgspec.structs.replace(wait, rung_at=wait.rung_at - ago) if wait.rung_at else wait
        for name, wait in state.waits.items()
    }
    stored = pack(encode_state(state))
    models.Checkpoint.objects.filter(pk=instance).update(state=stored, leased_until=timezone.now() - ago)


def lost(*_: object) -> None:
    """Have it look as if the connection had died."""
    raise UnreachableError("the connection died")


def children_of(instance: str) -> list[str]:
    rows = models.Instance.objects.filter(parent=UUID(instance)).order_by("pk")
    return [str(row.pk) for row in rows]


def due_in(records: Records, but: Sequence[str] = ()) -> list[str]:
    """Return what a timekeeper would find."""
    found = records.lock_due(10, but).rows
    records.rollback()
    return list(found)


def due() -> AnyFact:
    return Due()


def backend() -> int:
    """Return the number of this thread's backend on PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def terminate(pid: int) -> None:
    """End a backend, and return once it is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
