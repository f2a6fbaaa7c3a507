"""What is measured: the same work for every peer."""

from dataclasses import dataclass

STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One sort of work."""

    name: str
    title: str
    count: int
    """Instances started at once."""

    quick: int
    """The same for a first impression."""

    steps: int = STEPS
    """Durable steps per instance."""

    peers: tuple[str, ...] = ("lemline", "celery", "restate")


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(name="W1", title="5 sequential calls of a trivial function", count=2000, quick=500),
        Workload(name="W1p", title="5 sequential `set` tasks", count=5000, quick=1000, peers=("lemline",)),
        Workload(name="W4", title="5 sequential HTTP GETs of 20 ms", count=500, quick=200),
    )
}


def result_of(workflow: int, step: int) -> dict[str, object]:
    """Return what each trivial step returns, in every peer."""
    return {"wf": workflow, "step": step, "ok": True, "value": step * 7}
