"""Finds what is due and has it stepped: waits, retries, timeouts, later starts, rings that failed.

Any number of timekeepers may run: what is due is decided again under the instance's lock.
"""

import logging
import threading
from collections.abc import Sequence

from workflows.runtime.clock import DatabaseClock
from workflows.runtime.ports import Outcome
from workflows.runtime.records import ContentionError, Records, UnreachableError
from workflows.runtime.step import Due, Submit

log = logging.getLogger("lemline.timekeeper")

BATCH = 500
"""Instances handed to the stepper at once."""

LOOK_SECONDS = 0.02
"""Pause between looks: half of it is the mean lateness of a timer, and a look costs one index probe."""


class Timekeeper:
    """A thread that looks at what is due."""

    def __init__(self, records: Records, clock: DatabaseClock, submit: Submit) -> None:
        self._records = records
        self._clock = clock
        self._submit = submit
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timekeeper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                full = self.look()
            except Exception as error:
                # Whatever it is: without this thread, nothing of this process would ever be on time again.
                unexpected = None if isinstance(error, UnreachableError | ContentionError) else error
                log.warning("timekeeper.waits", exc_info=unexpected, extra={"error": str(error)})
                self._stopped.wait(1)
                continue
            if not full:
                self._stopped.wait(LOOK_SECONDS)

    def look(self) -> bool:
        """Hand over what is due and wait until it is stepped. Returns whether there may be more."""
        ids, now = self._records.due(BATCH)
        self._clock.set(now)
        if ids:
            self._hand_over(ids)
        return len(ids) == BATCH

    def _hand_over(self, ids: Sequence[str]) -> None:
        remaining = threading.Semaphore(0)

        def settled(outcome: Outcome) -> None:
            remaining.release()

        for instance_id in ids:
            self._submit(instance_id, Due(), settled)
        for _ in ids:
            remaining.acquire()
