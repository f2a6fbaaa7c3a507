"""A process that runs activities, within a test: a real desk on a real database, rung by hand."""

from collections.abc import Sequence
from threading import Event, Thread
from typing import Any

import msgspec
from django.db import connections

from tests.runtimes import DEADLINE_SECONDS, Runtime, define
from workers.claims import LocalClaims
from workers.desk import Desk, HandedBackError
from workers.message import Message, decode, encode, message_of
from workflows.runtime.ports import Delivery


class Delivered:
    """A message that a thread handles."""

    def __init__(self, desk: Desk, message: Message) -> None:
        self.error: BaseException | None = None
        self._thread = Thread(target=self._handle, args=(desk, message), daemon=True)
        self._thread.start()

    def _handle(self, desk: Desk, message: Message) -> None:
        try:
            desk.handle(message)
        except BaseException as error:  # noqa: BLE001
            self.error = error
        finally:
            connections.close_all()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Return when it was handled; raises what that raised."""
        self._thread.join(DEADLINE_SECONDS)
        assert self.is_done, "the message is still being handled"
        if self.error is not None:
            raise self.error

    @property
    def was_handed_back(self) -> bool:
        self._thread.join(DEADLINE_SECONDS)
        return isinstance(self.error, HandedBackError)


def suspected(delivery: Delivery) -> Delivery:
    """Return it as it is rung for once processes died with it in hand."""
    command = msgspec.structs.replace(delivery.command, suspect=True)
    return msgspec.structs.replace(delivery, command=command, request=msgspec.json.encode(command))


class Office:
    """A runtime with a desk."""

    def __init__(self, runtime: Runtime, max_size: int = 8, roles: str = "http,compute,io") -> None:
        self.runtime = runtime
        runtime.process.presence.roles = roles
        self.desk = Desk(runtime.process, LocalClaims(runtime.process.presence), max_size)
        runtime.stepper.start()

    @property
    def held(self) -> int:
        """How many activities the process holds."""
        return len(self.runtime.process.presence.held)

    def start(self, body: str, given: Any = None) -> str:
        """Begin an instance of a new definition; its id."""
        define(body)
        return self.start_again(given)

    def start_again(self, given: Any = None) -> str:
        """Begin another instance of it."""
        done = Event()
        birth = self.runtime.birth(input=given)
        self.runtime.stepper.begin(birth, lambda _: done.set())
        assert done.wait(DEADLINE_SECONDS)
        return birth.instance_id

    def rung(self) -> list[Delivery]:
        """Take what was rung for."""
        found, self.runtime.bells.rung = self.runtime.bells.rung, []
        return found

    def deliver(self, deliveries: Sequence[Delivery] | None = None) -> Delivered:
        """Have a thread handle one message with these, or with what was rung for, as it comes out of a broker."""
        message = message_of("compute", 3, self.rung() if deliveries is None else deliveries)
        return Delivered(self.desk, decode(encode(message)))

    def work(self) -> None:
        """Handle messages until nothing is rung for any more."""
        while deliveries := self.rung():
            self.deliver(deliveries).wait()

    def close(self) -> None:
        self.desk.stop(1)
        self.runtime.close()
