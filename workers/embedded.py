"""Everything in one process: the same stepper and the same desk; a ring is a function call."""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import uuid6
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from workers.activities import functions
from workers.bridges.bridges import Bridges
from workers.claims import LocalClaims
from workers.courier import Courier
from workers.desk import Desk, HandedBackError
from workers.dispatcher import Pooled, messages_of
from workers.message import Message
from workers.pools import ACTIVITY_POOLS, pools
from workers.routing import Routing, routing
from workflows import dsl
from workflows.api import streams
from workflows.engine import decode_state
from workflows.runtime import process as runtime
from workflows.runtime.cluster import Heartbeat, Presence
from workflows.runtime.event_processor import EMBEDDED_LOOK_SECONDS as EVENTS_LOOK_SECONDS
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.event_schedules import EventSchedules
from workflows.runtime.memory import MemoryRecords
from workflows.runtime.ports import Delivery
from workflows.runtime.process import Process
from workflows.runtime.records import Birth
from workflows.runtime.retention import Retention
from workflows.runtime.scaling import ScalingWatch
from workflows.runtime.schedule_keeper import ScheduleKeeper
from workflows.runtime.sweeper import Sweeper
from workflows.runtime.timekeeper import EMBEDDED_LOOK_SECONDS, Timekeeper
from workflows.runtime.views import InstanceView

log = logging.getLogger("lemline.embedded")

ABANDON_SECONDS = 2.0
"""How long activities that were told to stop are waited for: time enough to kill their processes."""


class LocalWorkers(Pooled):
    """An executor per pool instead of a queue per pool."""

    def __init__(self, names: Routing, presence: Presence) -> None:
        super().__init__(names)
        self.claims = LocalClaims(presence)
        self.desk: Desk
        """Set once the process is assembled."""

        self._presence = presence
        self._threads = {name: pools(settings.LEMLINE)[name].max_size for name in ACTIVITY_POOLS}
        self._executors = {
            name: ThreadPoolExecutor(count, thread_name_prefix=name) for name, count in self._threads.items()
        }

    def dispatch(self, deliveries: Sequence[Delivery]) -> None:
        """Hand them to their pools, more than one at a time only when there are more than threads."""
        for message in messages_of(self.names, deliveries, self._size):
            self._executors[message.pool].submit(self._handle, message)

    def _size(self, pool: str, level: int, ready: int) -> int:
        return min(settings.LEMLINE.messaging.consumer.max_batch, math.ceil(ready / self._threads[pool]))

    def _handle(self, message: Message) -> None:
        try:
            self.desk.handle(message)
        except HandedBackError:
            # The wait stays open: the next start rings it again.
            log.info("job.handed_back")
        except Exception:
            log.exception("job.failed")

    def cancel(self, instance_id: str, wait_id: str) -> None:
        """Stop it."""
        self._presence.cancel(instance_id, wait_id)

    def depths(self) -> Mapping[str, int]:
        """Count what waits in the executors."""
        return {
            label: executor._work_queue.qsize()
            for pool, executor in self._executors.items()
            for _, label in self.names.labels(pool)
        }

    def died_with(self, instance_id: str, wait_id: str, ring: int) -> bool:
        """Nothing here outlives the process."""
        return False

    def stop(self) -> None:
        """Begin nothing more."""
        for executor in self._executors.values():
            executor.shutdown(wait=False, cancel_futures=True)


class Embedded:
    """Stepper, pools, timekeeper, sweeper and retention of one process."""

    def __init__(self) -> None:
        functions.load(settings.LEMLINE.activities)
        self.process: Process = runtime.begin(self._connect, roles=",".join(ACTIVITY_POOLS))
        self.process.presence.is_alone = True
        self._workers.desk = Desk(self.process, self._workers.claims, settings.LEMLINE.execution.pools.http.max_size)
        lease = settings.LEMLINE.execution.lease.total_seconds()
        process = self.process
        self._heartbeat = Heartbeat(process.presence, process.records, process.clock, lease, self._workers.claims.renew)
        self._timekeeper = Timekeeper(process.records, process.clock, process.stepper, EMBEDDED_LOOK_SECONDS)
        self._schedules = ScheduleKeeper(process)
        self._events = EventProcessor(process, 1, EventSchedules.of(process).hear, look_seconds=EVENTS_LOOK_SECONDS)
        self._courier = Courier(process, lease)
        self._retention = Retention(process.clock)
        self._scaling = ScalingWatch(process)
        self._bridges = Bridges(process, settings.LEMLINE.events.bridges, settings.LEMLINE.messaging.consumer_group)
        self._sweeper = Sweeper(
            process.records,
            process.clock,
            self._workers,
            process.children,
            process.stepper.submit,
            lease,
            settings.LEMLINE.execution.max_recoveries,
        )

    def _connect(self, presence: Presence) -> LocalWorkers:
        self._workers = LocalWorkers(routing(settings.LEMLINE), presence)
        return self._workers

    def start(self) -> None:
        """Go on with what an earlier process left open, and keep time."""
        # Nobody else serves this database: whatever was rung before this moment is lost.
        self.process.records.ring_all()
        self._heartbeat.start()
        self._timekeeper.start()
        self._schedules.start()
        if settings.LEMLINE.event_processor.enabled:
            self._events.start()
        self._courier.start()
        self._sweeper.start()
        self._retention.start()
        self._scaling.start()
        self._bridges.start()

    def stop(self) -> None:
        """Store what is in hand and end."""
        self._bridges.stop()
        self._scaling.stop()
        self._retention.stop()
        self._sweeper.stop()
        self._events.stop()
        self._courier.stop()
        self._schedules.stop()
        self._timekeeper.stop()
        self._workers.stop()
        # What is cut off here is begun again at the next start.
        self._workers.desk.stop(ABANDON_SECONDS)
        self._heartbeat.stop()
        runtime.end()


def serve(host: str, port: int, ready: Callable[[], None]) -> None:
    """Serve API, admin, workers and timers until told to stop (SIGINT or SIGTERM).

    Args:
        host: Where to listen.
        port: The same. OSError when it is taken, before anything is begun.
        ready: Called when requests are answered.
    """
    server = ThreadedWSGIServer((host, port), WSGIRequestHandler)
    embedded = Embedded()
    embedded.start()
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    for sign in (signal.SIGINT, signal.SIGTERM):
        # Not in the handler itself: `shutdown` waits for the loop that the handler interrupts.
        signal.signal(sign, lambda *_: threading.Thread(target=server.shutdown).start())
    stopping = threading.Event()
    streams.SERVING.goes_on = lambda: not stopping.is_set()
    ready()
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        stopping.set()
        server.server_close()
        embedded.stop()


def read_definition(text: bytes) -> dsl.Definition:
    """Parse a definition as registering it would, with the functions of this installation.

    Raises:
        workflows.dsl.DefinitionError: It cannot be accepted.
    """
    config = settings.LEMLINE
    functions.load(config.activities)
    return dsl.parse(
        text,
        strict=config.workflow.validation.strict,
        functions=functions.lookup,
        limit_bytes=config.limits.definition,
    )


def run_file(
    text: bytes, given: bytes, timeout_seconds: float, tell: Callable[[InstanceView], None] = lambda _: None
) -> InstanceView:
    """Run a definition to its end in memory, without a server or a database.

    Args:
        text: The definition, YAML or JSON.
        given: JSON text of the input.
        timeout_seconds: After this the view shows how far it has come, and what still runs is ended.
        tell: Shown how far it is, each second.

    Raises:
        workflows.dsl.DefinitionError: The definition cannot be accepted.
    """
    definition = read_definition(text)
    records = MemoryRecords()
    connected: list[LocalWorkers] = []

    def connect(presence: Presence) -> LocalWorkers:
        connected.append(LocalWorkers(routing(settings.LEMLINE), presence))
        return connected[0]

    process = Process(connect, "run", records, find=lambda *_: None)
    process.definitions.know(0, definition)
    connected[0].desk = Desk(process, connected[0].claims, settings.LEMLINE.execution.pools.http.max_size)
    process.stepper.start()
    timekeeper = Timekeeper(records, process.clock, process.stepper, EMBEDDED_LOOK_SECONDS)
    timekeeper.start()
    birth = _birth(process, definition, given)
    try:
        _await_end(process, birth, timeout_seconds, lambda: tell(_view(records, birth)))
        return _view(records, birth)
    finally:
        timekeeper.stop()
        connected[0].stop()
        connected[0].desk.stop(ABANDON_SECONDS)
        process.stepper.stop()
        process.sandbox.close()


def _birth(process: Process, definition: dsl.Definition, given: bytes) -> Birth:
    document = definition.document
    return Birth(
        instance_id=str(uuid6.uuid7()), definition=0, namespace=document.namespace, workflow=document.name,
        version=document.version, priority=settings.LEMLINE.execution.prioritization.default_level, labels="{}",
        input=given, created_at=process.clock.now(),
    )  # fmt: skip


def _await_end(process: Process, birth: Birth, timeout_seconds: float, tell: Callable[[], None]) -> None:
    until = time.monotonic() + timeout_seconds
    with process.endings.expecting(birth.instance_id) as ended:
        process.stepper.begin(birth, lambda outcome: ended.set() if outcome.error else None)
        while not ended.wait(min(1.0, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                return
            tell()


def _view(records: MemoryRecords, birth: Birth) -> InstanceView:
    phase = records.instances[birth.instance_id][1]
    open_rows = records.peek([birth.instance_id]).values()
    positions = [position for row in open_rows for position in decode_state(row.state, row.input).positions()]
    return InstanceView(
        id=birth.instance_id, namespace=birth.namespace, workflow=birth.workflow, version=birth.version,
        status=phase.status, priority=birth.priority, labels={}, input=birth.input, output=phase.output,
        context=phase.context, problem=phase.problem, positions=tuple(positions), parent=None,
        created_at=birth.created_at, started_at=phase.started_at, ended_at=phase.ended_at,
    )  # fmt: skip
