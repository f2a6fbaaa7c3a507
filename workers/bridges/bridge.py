"""A bridge: takes from a broker, stores, acknowledges. In that order, so that a death in between loses nothing; what
comes again then is known by source and id.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from django.db import connections

from workers.bridges.lease import Lease
from workers.bridges.source import Message, Source, parcel_of
from workflows.runtime import events, rejections
from workflows.runtime.connections import drop_dead
from workflows.runtime.errors import InvalidRequestError, OverloadedError, TooLargeError
from workflows.runtime.event_rules import Event
from workflows.runtime.outages import is_outage
from workflows.runtime.parcels import read_events
from workflows.runtime.rejections import Rejected

log = logging.getLogger("lemline.bridges")

MOST = 100
"""Messages taken at once: each may be as large as an event may be."""

LOOK_SECONDS = 1.0
"""How long a source is waited for, and how often it is told that somebody is here."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
"""Between attempts at a broker or a database that is away."""


class Bridge:
    """A thread that takes from one source while its process is the one that should.

    Args:
        name: Of the bridge.
        namespace: Where its events live.
        make: Makes a source that is not open yet.
        lease: Says whether this process should.
    """

    def __init__(self, name: str, namespace: str, make: Callable[[], Source], lease: Lease) -> None:
        self.name = name
        self.is_open = threading.Event()
        """Whether it takes from its source now."""

        self._namespace = namespace
        self._make = make
        self._lease = lease
        self._stopped = threading.Event()
        self._pause = FIRST_PAUSE_SECONDS
        self._thread = threading.Thread(target=self._run, name=f"bridge {name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell_to_stop(self) -> None:
        """Have it take nothing more."""
        self._stopped.set()

    def stop(self) -> None:
        """End after what is in hand; another process may go on at once."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._lease.take():
                    self._serve()
                else:
                    self._stopped.wait(self._lease.look_seconds)
            except Exception as error:  # noqa: BLE001  (whatever it is: without this thread, nothing would come any more)
                self._report(error)
                self._stopped.wait(self._pause)
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
                drop_dead()
        self._lease.give_back()
        connections.close_all()

    def _serve(self) -> None:
        source = self._make()
        try:
            source.open()
            self._lease.tell("")
            self.is_open.set()
            log.info("bridge.open", extra={"bridge": self.name})
            while not self._stopped.is_set() and self._lease.take():
                if messages := source.take(MOST, LOOK_SECONDS):
                    self._carry(source, messages)
                self._pause = FIRST_PAUSE_SECONDS
        finally:
            self.is_open.clear()
            source.close()

    def _carry(self, source: Source, messages: Sequence[Message]) -> None:
        """Store messages, however long the database takes to be there, and acknowledge them."""
        while not self._stopped.is_set():
            try:
                self._store(messages)
            except Exception as error:
                if not isinstance(error, OverloadedError) and not is_outage(error):
                    raise
                self._report(error)
                self._hold(source, getattr(error, "retry_after_seconds", FIRST_PAUSE_SECONDS))
                drop_dead()
            else:
                source.acknowledge(messages)
                return

    def _hold(self, source: Source, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped.wait(min(LOOK_SECONDS, max(0.0, until - time.monotonic()))):
            source.keep()
            self._lease.take_if_there()
            if time.monotonic() >= until:
                return

    def _store(self, messages: Sequence[Message]) -> None:
        """Store what is an event as that, and the rest as messages that were rejected."""
        read: list[tuple[Message, list[Event]]] = []
        rejected: list[Rejected] = []
        for message in messages:
            try:
                read.append((message, read_events(parcel_of(message))))
            except (InvalidRequestError, TooLargeError) as error:
                rejected.append(rejected_of(message, error))
        try:
            self._receive([event for _, found in read for event in found])
        except InvalidRequestError:
            rejected += self._receive_each(read)
        rejections.keep(self.name, rejected)
        self._lease.count(received=len(messages) - len(rejected), rejected=len(rejected))

    def _receive(self, found: Sequence[Event]) -> None:
        if found:
            events.receive(found, namespace=self._namespace, by=f"bridge/{self.name}")

    def _receive_each(self, read: Sequence[tuple[Message, list[Event]]]) -> Iterator[Rejected]:
        """Find the one that is refused together with all."""
        for message, found in read:
            try:
                self._receive(found)
            except InvalidRequestError as error:
                yield rejected_of(message, error)

    def _report(self, error: Exception) -> None:
        """Say what is wrong, in the log and on the bridge's page."""
        text = f"{type(error).__name__}: {error}".rstrip(": ")
        log.warning("bridge.away", extra={"bridge": self.name, "error": text})
        self._lease.tell(text)


def rejected_of(message: Message, error: Exception) -> Rejected:
    """Return what is kept of a message that is no event."""
    return Rejected(
        body=message.body,
        headers={
            name: value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            for name, value in message.headers.items()
        },
        content_type=message.content_type,
        place=message.place,
        reason=str(error),
    )
