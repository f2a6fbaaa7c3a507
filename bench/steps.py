"""The registered functions of the benchmark's workflows."""

import random
from functools import cache

from bench.workloads import result_of
from workers.activities import activity


@activity("bench/step", pool="compute")
def step(wf: int, k: int) -> dict[str, object]:
    """Do as good as nothing."""
    return result_of(wf, k)


@activity("bench/io-step", pool="io")
def io_step(wf: int, k: int) -> dict[str, object]:
    """Do as good as nothing, in another pool."""
    return result_of(wf, k)


@activity("bench/large", pool="compute")
def large(wf: int, k: int, size: int) -> dict[str, object]:
    """Return a result of some size."""
    return {**result_of(wf, k), "records": _records(size)}


@cache
def _records(size: int) -> list[dict[str, object]]:
    """Return records as a service would answer them, about so many bytes of JSON; they shrink to a third."""
    draw = random.Random(size)
    return [
        {"id": number, "name": f"record {draw.getrandbits(32):08x}", "price": draw.randrange(100_000) / 100}
        for number in range(max(1, size // 56))
    ]
