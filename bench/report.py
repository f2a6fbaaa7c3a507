"""Rows of single runs to medians, a table, and the result file."""

import json
import os
import platform
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_MEDIANS = (
    "instances_per_s", "steps_per_s", "p50_ms", "p95_ms", "wall_s", "cpu_s_per_1000_steps", "peak_rss_mib",
)  # fmt: skip


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the medians of each peer, workload and variant; figures that a workload lacks are absent."""
    groups: dict[tuple[str, str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["workload"], row["peer"], row["variant"], row["instances"]].append(row)
    return [
        {
            "peer": peer, "workload": workload, "variant": variant, "instances": instances, "runs": len(group),
            **{name: _median(group, name) for name in _MEDIANS if all(name in row for row in group)},
            "checks": "ok" if all(row["checks"] == "ok" for row in group) else "failed",
        }
        for (workload, peer, variant, instances), group in groups.items()
    ]  # fmt: skip


def _median(rows: Sequence[Row], name: str) -> float:
    return round(statistics.median(row[name] for row in rows), 4)


def table(lines: Sequence[Row]) -> str:
    """Return the medians as a Markdown table, with each peer's throughput beside that of Lemline."""
    ours = {line["workload"]: line["instances_per_s"] for line in lines if line["peer"] == "lemline"}
    head = (
        "workload",
        "peer",
        "variant",
        "instances",
        "runs",
        "instances/s",
        "steps/s",
        "CPU s/1000 steps",
        "MiB",
        "Lemline is",
    )
    body = [
        (
            line["workload"], line["peer"], line["variant"], line["instances"], line["runs"], line["instances_per_s"],
            line["steps_per_s"], line["cpu_s_per_1000_steps"], line["peak_rss_mib"],
            _ratio(ours.get(line["workload"]), line),
        )
        for line in lines
    ]  # fmt: skip
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *body))


def _ratio(ours: float | None, line: Row) -> str:
    return "" if ours is None or line["peer"] == "lemline" else f"{ours / line['instances_per_s']:.2f} ×"


def save(folder: Path, rows: Sequence[Row], command: str) -> Path:
    """Write the result file and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y-%m-%d}.json"
    content = {"machine": machine(), "command": command, "rows": rows, "summary": summary(rows)}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return path


def machine() -> Row:
    """Return what a reader must know of this machine to judge the figures."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "memory_gib": round(memory / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True
        ).stdout.strip(),
    }
