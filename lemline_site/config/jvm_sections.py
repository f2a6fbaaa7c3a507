"""What can be set about a process's memory and its collector, under the names that a JVM's operator knows."""

from dataclasses import dataclass, field
from typing import Literal

from lemline_site.config.values import Bytes


@dataclass(frozen=True, kw_only=True)
class JvmMemory:
    """Memory of one process."""

    min: Bytes | None = None
    """Accepted, without effect: CPython reserves no heap. Request that much memory from what runs the process."""

    max: Bytes | None = None
    """Resident memory from which on a worker process, children included, stops in order: it takes nothing more, hands
    back what has not begun, ends what runs within `lemline.execution.grace`, and its supervisor starts it again."""


@dataclass(frozen=True, kw_only=True)
class JvmGc:
    """Python's collector of cycles."""

    strategy: Literal["freeze", "throughput", "default", "G1GC", "ParallelGC", "SerialGC", "ZGC"] = "freeze"
    """`freeze` leaves what a process loads at its start out of every collection and looks for cycles seldom;
    `throughput` looks still less often, for more memory; `default` is Python's own. `G1GC` and `ZGC` mean `freeze`,
    `ParallelGC` means `throughput`, `SerialGC` means `default`."""

    max_gc_pause_millis: int | None = None
    """Collections that take longer are logged (`gc.pause`) with generation and duration. Nothing: none is measured."""


@dataclass(frozen=True, kw_only=True)
class Jvm:
    """Memory and collector, as one tunes a JVM's."""

    memory: JvmMemory = field(default_factory=JvmMemory)
    gc: JvmGc = field(default_factory=JvmGc)
    compiler_threshold: int | None = None
    """Accepted, without effect: CPython compiles nothing while it runs, and jq programs are compiled at first use."""
