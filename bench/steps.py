"""The registered function of the benchmark's workflows."""

from bench.workloads import result_of
from workers.activities import activity


@activity("bench/step", pool="compute")
def step(wf: int, k: int) -> dict[str, object]:
    """Do as good as nothing."""
    return result_of(wf, k)
