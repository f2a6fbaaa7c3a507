"""What is going on while things break: new instances all the time, of every sort that ends by itself."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.crash.definitions import RETRY, Task, child, post, python, visit
from tests.crash.harness import NAMESPACE, Installation

STARTERS = 4
"""Callers at the door at the same time."""


def at(part: str) -> str:
    """Return a path that belongs to one instance."""
    return f"/\\($workflow.input.name)/{part}"


def _nap(milliseconds: int) -> Task:
    return {"wait": {"milliseconds": milliseconds}}


_BROKEN = {"raise": {"error": {"type": "https://example.com/broken", "status": 500}}}
_TOLD = {"source": '${ "https://example.com/" + $workflow.input.name }', "type": "example.told"}

KINDS: Mapping[str, Sequence[Task]] = {
    "series": [{"one": visit(at("one"))}, {"two": post(at("two"))}, {"three": visit(at("three"))}],
    "retry": [
        {"safe": {"try": [{"flaky": post(at("refused"))}], "catch": {"retry": RETRY}}},
        {"then": visit(at("then"))},
    ],
    "repair": [
        {"safe": {"try": [{"fail": _BROKEN}], "catch": {"do": [{"mend": visit(at("mend"))}]}}},
        {"then": post(at("then"))},
    ],
    "fork": [{"both": {"fork": {"branches": [
        {"left": post(at("left"))},
        {"right": {"do": [{"first": visit(at("right"))}, {"second": post(at("second"))}]}},
    ]}}}],
    "race": [{"first": {"fork": {"compete": True, "branches": [
        {"never": {"wait": {"hours": 1}}},
        {"soon": visit(at("soon"))},
    ]}}}],
    "loop": [{"all": {"for": {"in": "${ [1, 2, 3] }"}, "do": [{"each": visit(at("\\($item)"))}]}}],
    "nap": [{"before": visit(at("before"))}, {"nap": _nap(700)}, {"after": post(at("after"))}],
    "child": [{"begin": child("series", awaited=True)}, {"after": visit(at("after"))}],
    "emit": [{"tell": {"emit": {"event": {"with": _TOLD}}}}, {"then": visit(at("then"))}],
    "long": [
        step for number in range(4)
        for step in ({f"work{number}": visit(at(f"{number}"))}, {f"nap{number}": _nap(800)})
    ],
    "script": [{"run": python(at("script"))}, {"then": visit(at("then"))}],
}  # fmt: skip
"""By name. Each ends in the same way whatever happens meanwhile."""

SHARES = {"series": 6, "long": 4, "nap": 3, "child": 3, "fork": 3, "script": 1}
"""How many of each there are among the others, of which there is two."""

TARGETS: Mapping[str, Sequence[Task]] = {
    "single": [{"work": visit(at("work"))}],
    "double": [{"first": visit(at("first"))}, {"second": post(at("second"))}],
    "timer": [{"nap": _nap(100)}, {"after": visit(at("after"))}],
    "beside": [{"both": {"fork": {"branches": [
        {"slow": visit(at("slow"))},
        {"lost": {"do": [{"first": visit(at("first"))}, {"second": post(at("second"))}]}},
    ]}}}],
}  # fmt: skip
"""What a fault starts itself, to hit it."""


@dataclass(frozen=True)
class Started:
    """An instance of the load."""

    instance: str
    kind: str
    name: str
    """Stands in each of its paths."""


@dataclass
class Load:
    """Starts so many instances at an even pace, whatever the door says meanwhile."""

    installation: Installation
    stub: str
    started: list[Started] = field(default_factory=list)
    """What the door has accepted."""

    refusals: list[str] = field(default_factory=list)
    """Answers that no caller should have got."""

    _offered: list[Started] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def register(self) -> None:
        """Register every kind."""
        for name, tasks in {**KINDS, **TARGETS}.items():
            self.installation.register(name, tasks)

    def start(self, kind: str, name: str, *, instance: str = "", priority: int = 3) -> Started:
        """Start one instance, asking until it is accepted."""
        new = Started(instance or str(uuid4()), kind, name)
        workflow = {"namespace": NAMESPACE, "name": kind}
        given = {"stub": self.stub, "name": name}
        body = {"workflow": workflow, "id": new.instance, "input": given, "priority": priority}
        while not self._accepted(body):
            if self._stopped.wait(0.1):
                return new
        self.started.append(new)
        return new

    @contextlib.contextmanager
    def running(self, count: int, per_second: float, chance: random.Random, among: Sequence[str]) -> Iterator[None]:
        """Have them started beside a block."""
        kinds = chance.choices(among, [SHARES.get(kind, 2) for kind in among], k=count)
        begun = time.monotonic()

        def offer(number: int) -> None:
            if not self._stopped.wait(max(0.0, begun + number / per_second - time.monotonic())):
                self._offered.append(self.start(kinds[number], f"{kinds[number]}-{number}"))

        with ThreadPoolExecutor(STARTERS) as threads:
            offers = [threads.submit(offer, number) for number in range(count)]
            try:
                yield
            finally:
                self._stopped.set()
        for each in offers:
            each.result()

    def is_over(self, count: int) -> bool:
        """Return whether so many were accepted, besides those that faults started."""
        return len(self._offered) >= count

    def _accepted(self, body: Mapping[str, Any]) -> bool:
        try:
            self.installation.ask("POST", "/instances", body)
        except OSError:
            return False
        except AssertionError as error:
            self.refusals.append(str(error))
            return False
        return True
