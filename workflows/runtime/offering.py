"""Offers events to instances, by the stepper, and waits until it has been decided about each."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from workflows.engine.facts import EventArrived
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.listeners import Arrival
from workflows.runtime.ports import Outcome
from workflows.runtime.step import AnyFact
from workflows.runtime.stepper import Stepper
from workflows.runtime.subscriptions import Wait

TOGETHER = 2000
"""Instances that are offered something at once: one event may be for a hundred thousand."""

LOOK_SECONDS = 0.5
"""How often is looked whether this is to end, while the stepper waits for its database."""


class StoppedError(Exception):
    """This process ends: whoever comes next offers the same again."""


class Offering:
    """One process's way to offer."""

    def __init__(self, stepper: Stepper, clock: DatabaseClock, stopped: threading.Event) -> None:
        self._stepper = stepper
        self._clock = clock
        self._stopped = stopped

    def offer(self, heard: Mapping[Wait, Iterable[Arrival]]) -> list[str]:
        """Offer events, those of one instance in the order given, and return the instances that are gone.

        Returns once all that they changed is committed. An instance whose step cannot be stored has been faulted by
        then, like by any other fact. What was offered before changes nothing: the engine knows.

        Raises:
            StoppedError: Nobody knows which of them were taken.
        """
        given: dict[str, list[AnyFact]] = {}
        now = self._clock.now()
        for (instance, wait), arrivals in heard.items():
            given.setdefault(instance, []).extend(
                EventArrived(at=now, wait_id=wait, event=each.event, received_at=each.received_at) for each in arrivals
            )
        instances = list(given)
        gone: list[str] = []
        for start in range(0, len(instances), TOGETHER):
            gone += self._tell({instance: given[instance] for instance in instances[start : start + TOGETHER]})
        return gone

    def _tell(self, given: Mapping[str, Sequence[AnyFact]]) -> list[str]:
        gone: set[str] = set()
        over = threading.Event()
        left = sum(map(len, given.values()))

        def settle(instance: str, outcome: Outcome) -> None:
            nonlocal left
            left -= 1
            if not outcome.found:
                gone.add(instance)
            if not left:
                over.set()

        for instance, facts in given.items():
            self._stepper.submit_all(instance, facts, partial(settle, instance))
        while not over.wait(LOOK_SECONDS):
            if self._stopped.is_set():
                raise StoppedError
        return list(gone)
