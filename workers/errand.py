"""An errand: one activity of a message, from its reservation until its outcome is committed or it is handed back."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from workers.activities import ActivityCall, ActivityResult, Cancellation, find_activity, functions
from workers.activities.calls import failure
from workers.crew import Batch
from workers.loop import Loop
from workers.message import Item, Message
from workflows.engine.commands import RunActivity
from workflows.runtime.cluster import Hold
from workflows.runtime.ports import Delivery

log = logging.getLogger("lemline.desk")

_lock = threading.Lock()
"""One for all, held for an instant: an errand ends once, whether its activity or its time is over first."""


class Home(Protocol):
    """What an errand needs of the process that runs it."""

    loop: Loop
    """Tells when time is over."""

    is_closing: bool
    """Whether what is stopped now is to be run by somebody else."""

    def is_stale(self, errand: "Errand") -> bool:
        """Return whether it was read so long ago that others may have been given it since."""
        ...

    def still_wants(self, errand: "Errand") -> bool:
        """Read again whether it is wanted: what was committed meanwhile must not be run."""
        ...

    def begin(self, errand: "Errand") -> ActivityCall:
        """Return what the activity is given."""
        ...

    def tell(self, errand: "Errand", result: ActivityResult | BaseException) -> None:
        """Hand an outcome to the stepper."""
        ...

    def release(self, errand: "Errand") -> None:
        """Hold it no longer."""
        ...

    def keeps(self, errand: "Errand", delivery: Delivery) -> bool:
        """Return whether to go on here with what an outcome makes ready."""
        ...

    def go_on(self, errand: "Errand", delivery: Delivery) -> None:
        """Begin that, now that it is committed."""
        ...


class Bundle:
    """The errands of one message, and those that go on from them: counts down to the last commit."""

    def __init__(self, message: Message, read_at: float, batch: Batch) -> None:
        self._left = 0
        self.message = message
        self.read_at = read_at
        """Monotonic time before it was read what of the message is wanted."""

        self._lock = threading.Lock()
        self.batch = batch
        """Its functions; over when all are done, also those of them that wait on a loop or were withdrawn."""

        self.is_passed_on = False
        """Whether somebody else was told of it already."""

        self.returned = 0
        """How many were handed back."""

    def expect(self, count: int) -> None:
        """Say how many there are, before any of them begins."""
        self._left = count

    def expect_one_more(self) -> None:
        """Note that one goes on, before it counts as ended."""
        with self._lock:
            self._left += 1

    def count_down(self, *, returned: bool = False) -> None:
        """Note the end of one."""
        with self._lock:
            self._left -= 1
            self.returned += returned
            if not self._left:
                self.batch.end()


class Errand:
    """One activity. Held by its process from its reservation on, also while it waits for its turn.

    Args:
        turn: How many of its instance were run here in a row before it. From 1 on no message brought it: the commit
            that wants it recorded that this process holds it.
        read_at: Monotonic time at which it was known to be wanted.
    """

    __slots__ = (
        "_begun", "_ended", "_home", "activity", "begun_at", "bundle", "cancelled", "command", "hold", "item",
        "kept_at", "read_at", "turn",
    )  # fmt: skip

    def __init__(
        self, home: Home, bundle: Bundle, item: Item, command: RunActivity, turn: int = 0, read_at: float | None = None
    ) -> None:
        self._home = home
        self.turn = turn
        self.read_at = bundle.read_at if read_at is None else read_at
        self.kept_at = 0.0
        """Monotonic time before the commit that has it go on."""

        self._begun = False
        self._ended = False
        self.bundle = bundle
        self.item = item
        self.command = command
        self.hold: Hold = (item.instance_id, item.wait_id, item.ring)
        self.cancelled = Cancellation()
        self.activity: Any = find_activity(command.kind, command.arguments)
        self.begun_at: datetime | None = None

    def work(self) -> None:
        """Run it on this thread."""
        if self._home.is_stale(self):
            self._look_again()
        if self.cancelled.is_set():
            self.abandon()
        if not self._begins():
            return
        forget: Callable[[], None] = _nothing
        try:
            call = self._home.begin(self)
            forget = self._watch(call)
            result: Any = self._found().run(call)
        except BaseException as error:  # noqa: BLE001  (whatever it is becomes the outcome)
            result = error
        forget()
        self._end(result)

    async def wait(self) -> None:
        """Run it on an event loop."""
        if self._home.is_stale(self):
            await asyncio.to_thread(self._look_again)
        if self.cancelled.is_set():
            self.abandon()
        if not self._begins():
            return
        try:
            result: Any = await self._found().run(self._home.begin(self))
        except BaseException as error:  # noqa: BLE001  (whatever it is becomes the outcome)
            result = error
        self._end(result)

    @property
    def is_waiting(self) -> bool:
        """Whether it is run by `wait`, not by `work`."""
        return inspect.iscoroutinefunction(getattr(self.activity, "run", None))

    def abandon(self) -> None:
        """Give it up: nobody waits for it any more, or somebody else will run it."""
        self._end(failure("runtime", "stopped", answered=False))

    def withdraw(self) -> bool:
        """Give up what has not begun, for somebody else to run. False when it has, or has ended."""
        with _lock:
            if self._begun or self._ended:
                return False
            self._ended = True
            return True

    def keeps(self, delivery: Delivery) -> bool:
        """Return whether to go on here with what its outcome makes ready."""
        self.kept_at = time.monotonic()
        return self._home.keeps(self, delivery)

    def go_on(self, delivery: Delivery) -> None:
        """Begin that, now that it is committed."""
        self._home.go_on(self, delivery)

    def _begins(self) -> bool:
        """Return whether it may begin; from here on it cannot be withdrawn."""
        with _lock:
            self._begun = not self._ended
            return self._begun

    def _look_again(self) -> None:
        if not self._home.still_wants(self):
            self.cancelled.set()

    def _found(self) -> Any:
        if self.activity is None:
            raise failure("configuration", f"this worker cannot run {self.command.kind!r} activities")
        return self.activity

    def _watch(self, call: ActivityCall) -> Callable[[], None]:
        """Have a function end in time as far as its instance is concerned; its thread cannot be stopped.

        Returns:
            What ends the watch.
        """
        function = functions.lookup(call.arguments["function"]) if call.kind == "function" else None
        seconds = None if function is None else functions.seconds_of(function, call)
        if function is None or seconds is None:
            return _nothing
        error = functions.overdue(function)

        def over() -> None:
            log.warning("function.overdue", extra={"function": function.name, "instance_id": self.item.instance_id})
            self.cancelled.set()
            self._end(error)

        return self._home.loop.later(seconds, over)

    def _end(self, result: ActivityResult | BaseException) -> None:
        with _lock:
            ended, self._ended = self._ended, True
        if ended:
            return
        # Told to stop for somebody else to run it, an activity fails in whatever way it likes.
        stopped = self.cancelled.is_set() and not isinstance(result, ActivityResult)
        if stopped and (self._home.is_closing or self.begun_at is None):
            self._home.release(self)
            self.bundle.count_down(returned=self._home.is_closing and not self.turn)
        else:
            self._home.tell(self, result)


def _nothing() -> None:
    """No watch to end."""
