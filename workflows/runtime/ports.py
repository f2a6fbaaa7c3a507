"""The seams between the runtime and what it works with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.commands import RunActivity
from workflows.engine.problems import Problem
from workflows.runtime.records import Grave

if TYPE_CHECKING:
    from workflows.runtime.step import Taken


class DispatchError(Exception):
    """Nobody could be rung: the broker is away, or belongs to another process."""


class Delivery(msgspec.Struct, frozen=True):
    """An activity that became ready, with what its worker must know of the instance."""

    instance_id: str
    definition: tuple[str, str, str]
    """Namespace, name and version: for people, in Flower and logs."""

    priority: int
    """1 is most urgent."""

    step: int
    """Step that wants it. While the checkpoint still has this number, nothing has changed since."""

    seal: str
    """What the marks of the instance's secrets carry."""

    command: RunActivity
    request: bytes
    """The command as JSON, as the state keeps it; ring and stamp may be those of an earlier ring."""


class Dispatcher(Protocol):
    """Rings the pools."""

    def dispatch(self, deliveries: Sequence[Delivery]) -> None:
        """Ring for each of them, those of one pool and priority together.

        Raises:
            DispatchError: Some or all were not rung; ringing again does no harm.
        """
        ...

    def cancel(self, instance_id: str, wait_id: str) -> None:
        """Tell whoever works for this wait that it may stop. A hint: never raises, may be lost."""
        ...


class Keeper(Protocol):
    """Who tells a fact, and may go on with what it makes ready instead of having a pool rung."""

    def keeps(self, delivery: Delivery) -> bool:
        """Return whether to hold this activity from the commit on. Asked before it, and again if the commit fails."""
        ...

    def go_on(self, delivery: Delivery) -> None:
        """Begin what the commit has recorded as held here. Called in the stepper's thread, and must be quick."""
        ...


class Queues(Protocol):
    """What the sweeper asks about the queues."""

    def queue_of(self, command: RunActivity, priority: int) -> str:
        """Return the name under which workers report what they took from this activity's queue and level."""
        ...

    def queue_label(self, pool: str, level: int) -> str:
        """Return the name under which what is taken from a queue is reported."""
        ...

    def depths(self) -> Mapping[str, int]:
        """Return the messages waiting per queue and level, none of them taken yet.

        Raises:
            DispatchError: The broker is away.
        """
        ...

    def died_with(self, instance_id: str, wait_id: str, ring: int) -> bool | None:
        """Return whether a process that is dead had begun this ring; None when nobody knows."""
        ...


class Workers(Dispatcher, Queues, Protocol):
    """All that the runtime knows of those who do the work."""

    def function(self, name: str) -> object | None:
        """Return the registered Python function of this name, `name` or `name:version`; None without one."""
        ...


class Secrets(Protocol):
    """Gives the values of secrets by name."""

    def read(self, name: str) -> Json:
        """Return the value.

        Raises:
            KeyError: No provider has it.
        """
        ...


Settled = Callable[["Outcome"], None]
"""Called in the stepper's thread once the fact's step is committed, or known to change nothing."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a fact."""

    changed: bool
    """Whether it was applied. False when the wait was gone, or the instance unknown."""

    found: bool = True
    """Whether the instance has a checkpoint."""

    error: Exception | None = None
    """Why the step could not be taken; None when it was."""

    rung: bool = False
    """Whether all that is open was rung for again."""

    view: object = None
    """What the instance looked like after the step (`runtime/views.py`), for those who asked."""


class Outbox(Protocol):
    """Tells those outside; `runtime/outbox.py`, which knows steps."""

    is_wanted: bool
    """Whether anybody listens."""

    def look(self) -> None:
        """See who listens, unless that was done a moment ago."""
        ...

    def rows(self, taken: "Taken", now: datetime) -> Iterable[tuple[object, ...]]:
        """Return the rows of what a subject tells."""
        ...

    def rows_of_grave(self, grave: Grave, fault: Problem) -> Iterable[tuple[object, ...]]:
        """Return the rows of what a burial tells."""
        ...
