"""What a run costs: wall time, processor time of every process that took part, memory of the workers."""

import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.2


class Meter:
    """`with Meter({"worker": pids, "database": pids}) as meter: ...`, then `meter.figures()`.

    Processor time is that of the trees below these processes, the dead included, and of this one (`client`).
    What BENCH_STUB_PID names answers everybody alike: it is nobody's cost, and none of the others'.
    """

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self._groups = {name: list(pids) for name, pids in groups.items()}
        self._stub = [int(pid) for pid in os.environ.get("BENCH_STUB_PID", "").split()]
        self._peak_bytes = 0
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._before = self._processor_times()
        self._busy_before = self._busy()
        self._look()
        self.started_at = time.monotonic()
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wall_s = time.monotonic() - self.started_at
        after, busy = self._processor_times(), self._busy()
        self._ended.set()
        self._sampler.join()
        self._look()
        self.cpu_s = {name: round(after[name] - self._before[name], 3) for name in after}
        self.other_cpu_s = round(busy - self._busy_before - sum(self.cpu_s.values()), 2)

    def figures(self, instances: int, steps: int) -> dict[str, object]:
        """Return the row's figures."""
        return {
            "instances": instances,
            "wall_s": round(self.wall_s, 4),
            "instances_per_s": round(instances / self.wall_s, 1),
            "steps_per_s": round(steps / self.wall_s, 1),
            "cpu_s": self.cpu_s,
            "other_cpu_s": self.other_cpu_s,
            "cpu_s_per_1000_steps": round(sum(self.cpu_s.values()) / steps * 1000, 4),
            "peak_rss_mib": round(self._peak_bytes / 2**20, 1),
        }

    def _processor_times(self) -> dict[str, float]:
        own = os.times()
        trees = {name: sum(map(_processor_seconds, tree(pids))) for name, pids in self._groups.items()}
        return {**trees, "client": own.user + own.system}

    def _busy(self) -> float:
        return _busy_seconds() - sum(map(_processor_seconds, tree(self._stub)))

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        self._peak_bytes = max(self._peak_bytes, resident_bytes(self._groups.get("worker", ())))


def resident_bytes(roots: Iterable[int]) -> int:
    """Return the memory of these processes and all below them, shared pages counted in each."""
    return sum(map(_resident_bytes, tree(roots)))


def tree(roots: Iterable[int]) -> list[int]:
    """Return these processes and all below them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the program's name, none when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def _processor_seconds(pid: int) -> float:
    """Its own time and that of the children it has waited for."""
    return sum(map(int, _stat(pid)[11:15])) / _TICK


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _busy_seconds() -> float:
    """Processor time of the whole machine: what others used of it makes a row doubtful."""
    values = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(values) - values[3] - values[4]) / _TICK
