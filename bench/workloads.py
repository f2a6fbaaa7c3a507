"""What is measured: the same work for every peer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

STEPS = 5
FAN = 1000
NAP_SECONDS = 2.0

EVERYBODY = ("lemline", "celery", "celery-commit", "dbos", "restate")
FASTEST = ("lemline", "restate")
"""Lemline and the fastest durable peer: where the others would take minutes to say what is known already."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One size or setting of a workload."""

    count: int
    """Instances; for workloads that fan out, fan-outs."""

    quick: int
    """The same for a first impression."""

    steps: int = STEPS
    """Durable steps per instance."""

    peers: tuple[str, ...] = ("lemline",)
    repeat: int = 1
    """Measurements one after the other, where one takes no time worth setting up for."""

    options: Mapping[str, int] = field(default_factory=dict)
    """Known to the drivers of the workload."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Set for the driver and whatever it starts."""

    fewer: Mapping[str, int] = field(default_factory=dict)
    """Counts of peers that need minutes for as many; what is compared is the rate."""

    def count_for(self, peer: str, *, quick: bool) -> int:
        """Return how many instances a peer gets."""
        return self.quick if quick else self.fewer.get(peer, self.count)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One sort of work, in one or several cases by name."""

    name: str
    title: str
    cases: Mapping[str, Case]


AUTO = {"LEMLINE_EXECUTION_CONTINUATION": "auto"}
KEPT = {"BENCH_KEPT_DATABASE": "bench_lemline_grown"}
"""A database of its own, which takes minutes to fill, for all runs of a case."""


def _fan_outs(sizes: Mapping[int, int]) -> dict[str, Case]:
    return {
        f"{size} items": Case(count=count, quick=max(1, count // 20), steps=size, options={"items": size})
        for size, count in sizes.items()
    }


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="W1",
            title="5 sequential calls of a trivial function, all instances started at once",
            cases={
                "default": Case(
                    count=2000, quick=300, peers=EVERYBODY, fewer={"celery": 1000, "celery-commit": 1000, "dbos": 500}
                ),
                "auto": Case(count=2000, quick=300, environment=AUTO),
            },
        ),
        Workload(
            name="W1p",
            title="5 sequential `set` tasks: nothing leaves the engine, one commit for all",
            cases={"default": Case(count=5000, quick=500)},
        ),
        Workload(
            name="W1x",
            title="as W1, with functions of two pools in turn, of twenty definitions, started over HTTP",
            cases={"default": Case(count=2000, quick=300)},
        ),
        Workload(
            name="W2",
            title="as W1, one instance at a time on an idle system, from start to result seen",
            cases={
                "default": Case(count=200, quick=30, peers=EVERYBODY),
                "auto": Case(count=200, quick=30, environment=AUTO),
            },
        ),
        Workload(
            name="W3",
            title="a fan-out to 1000 trivial steps, and the join",
            cases={"default": Case(count=1, quick=1, steps=FAN, repeat=3, peers=EVERYBODY, options={"items": FAN})},
        ),
        Workload(
            name="W4",
            title="5 sequential HTTP GETs of 20 ms, all instances started at once",
            cases={
                "500": Case(count=500, quick=150, peers=EVERYBODY),
                "2000": Case(count=2000, quick=300, peers=FASTEST),
            },
        ),
        Workload(
            name="W5",
            title="durable sleeps of 2 s: the time to start all of them, and how late they end",
            cases={"default": Case(count=2000, quick=300, steps=1, peers=EVERYBODY)},
        ),
        Workload(
            name="W6",
            title="W1 beside instances that are open already, and with longer workflows",
            cases={
                **{
                    f"{count} open": Case(count=1000, quick=100, options={"open": count})
                    for count in (10, 1000, 100_000)
                },
                **{f"{tasks} tasks": Case(count=100, quick=10, steps=tasks) for tasks in (5, 50, 500)},
            },
        ),
        Workload(
            name="W7",
            title="fan-outs of several widths, 10,000 items in all",
            cases=_fan_outs({10: 1000, 100: 100, 1000: 10, 10_000: 1}),
        ),
        Workload(
            name="W8",
            title="100,000 instances that wait for timers: at rest, then 2000 becoming due each second",
            cases={"default": Case(count=100_000, quick=5000, steps=1, options={"seconds": 10, "rate": 2000})},
        ),
        Workload(
            name="W9",
            title="W1 with results of several sizes, each the next step's input",
            cases={
                "1 kB": Case(count=400, quick=50, options={"size": 1000}),
                "10 kB": Case(count=400, quick=50, options={"size": 10_000}),
                "100 kB": Case(count=100, quick=10, options={"size": 100_000}),
                "1000 kB": Case(count=20, quick=2, options={"size": 1_000_000}),
            },
        ),
        Workload(
            name="growth",
            title="W1 on empty tables, and on those of a year: ended instances and their history",
            cases={
                "empty tables": Case(count=2000, quick=300),
                "grown tables": Case(count=2000, quick=300, options={"grown": 1}, environment=KEPT),
            },
        ),
    )
}


def result_of(workflow: int, step: int) -> dict[str, object]:
    """Return what each trivial step returns, in every peer."""
    return {"wf": workflow, "step": step, "ok": True, "value": step * 7}
