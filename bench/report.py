"""Rows of single runs to medians, tables, and the result file."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

BUSY_SHARE = 0.25
"""Of one core: when others used more of the machine during a run, its figures are doubtful."""

_MEDIANS = (
    "instances_per_s", "steps_per_s", "p50_ms", "p95_ms", "wall_s", "start_s", "cpu_s_per_1000_steps", "peak_rss_mib",
    "idle_worker_cores", "idle_database_cores", "rss_growth_mib", "history_rows", "other_cpu_s",
)  # fmt: skip
_COLUMNS = {
    "instances": "instances", "runs": "runs", "instances_per_s": "instances/s", "steps_per_s": "steps/s",
    "p50_ms": "p50 ms", "p95_ms": "p95 ms", "wall_s": "wall s", "start_s": "started in s",
    "cpu_s_per_1000_steps": "CPU s/1000 steps", "peak_rss_mib": "MiB", "idle_worker_cores": "cores at rest",
    "rss_growth_mib": "MiB more", "doubtful": "doubtful",
}  # fmt: skip
"""Of a table, where the workload has them."""

_COMPARED = {"W2": "p50_ms", "W3": "wall_s", "W5": "p95_ms"}
"""Where less is better; elsewhere instances per second are compared."""


def is_doubtful(row: Row) -> bool:
    """Return whether others used the machine too much during a run."""
    return bool(row["other_cpu_s"] > BUSY_SHARE * row["wall_s"])


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the medians of each peer, workload and variant; figures that a workload lacks are absent."""
    groups: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["workload"], row["variant"], row["peer"], row.get("setup", "")].append(row)
    return [
        {
            "peer": peer, "workload": workload, "variant": variant, **({"setup": setup} if setup else {}),
            "instances": group[0]["instances"], "runs": len(group),
            **{name: _median(group, name) for name in _MEDIANS if all(name in row for row in group)},
            "doubtful": sum(map(is_doubtful, group)),
            "checks": "ok" if all(row["checks"] == "ok" for row in group) else "failed",
        }
        for (workload, variant, peer, setup), group in groups.items()
    ]  # fmt: skip


def _median(rows: Sequence[Row], name: str) -> float:
    return round(statistics.median(row[name] for row in rows), 4)


def ratio(line: Row, lines: Sequence[Row]) -> float | None:
    """Return how many times better Lemline is than a peer in its workload and variant; None for itself."""
    ours = [
        other
        for other in lines
        if other["peer"] == "lemline" and (other["workload"], other["variant"]) == (line["workload"], line["variant"])
    ]
    if line["peer"] == "lemline" or not ours:
        return None
    figure = _COMPARED.get(line["workload"])
    if figure is None:
        return float(ours[0]["instances_per_s"] / line["instances_per_s"])
    return float(line[figure] / ours[0][figure])


def growth(line: Row, lines: Sequence[Row], figure: str) -> float | None:
    """Return how many times a figure is that of the smallest size; None for workloads that are not about sizes.

    Sizes of one sort end with the same word: `10 open`, `1000 open`.
    """
    _, _, sort = line["variant"].partition(" ")
    first = next(
        other for other in lines if other["workload"] == line["workload"] and other["variant"].partition(" ")[2] == sort
    )
    return float(line[figure] / first[figure]) if sort and first[figure] else None


def tables(lines: Sequence[Row], titles: Mapping[str, str]) -> str:
    """Return the medians as Markdown, a table per workload, with what Lemline is beside each peer.

    Args:
        lines: The summary.
        titles: What each workload is.
    """
    return "\n\n".join(
        f"**{workload}**: {titles[workload]}\n\n{_table([line for line in lines if line['workload'] == workload])}"
        for workload in dict.fromkeys(line["workload"] for line in lines)
    )


def _table(lines: Sequence[Row]) -> str:
    shown = [name for name in _COLUMNS if any(line.get(name) for line in lines)]
    more = {"Lemline is": ratio, "step takes": _wall_growth, "step costs": _cpu_growth}
    told = {name: column for name, tell in more.items() if any(column := [tell(line, lines) for line in lines])}
    head = ["peer", "variant", *(_COLUMNS[name] for name in shown), *told]
    body = [
        [line["peer"], _variant(line), *(text_of(line.get(name)) for name in shown), *map(_times, compared)]
        for line, *compared in zip(lines, *told.values(), strict=True)
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))


def _wall_growth(line: Row, lines: Sequence[Row]) -> float | None:
    times = growth(line, lines, "steps_per_s")
    return None if times is None else 1 / times


def _cpu_growth(line: Row, lines: Sequence[Row]) -> float | None:
    return growth(line, lines, "cpu_s_per_1000_steps")


def _variant(line: Row) -> str:
    return ", ".join(part for part in (line["variant"], line.get("setup")) if part and part != "default") or "default"


def text_of(value: float | None) -> str:
    """Return a figure with as many digits as it deserves; nothing for none."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ×"


def line(row: Row) -> str:
    """Return a run on one line, as it is shown while others go on."""
    figures = {
        "instances_per_s": "instances/s", "steps_per_s": "steps/s", "p50_ms": "ms p50", "p95_ms": "ms p95",
        "wall_s": "s wall", "cpu_s_per_1000_steps": "CPU s/1000 steps",
    }  # fmt: skip
    shown = "  ".join(f"{text_of(row[name]):>7} {unit}" for name, unit in figures.items() if name in row)
    doubt = "  (doubtful)" if is_doubtful(row) else ""
    return f"{row['workload']:<6} {row['variant']:<11} {row['peer']:<13} {shown}  others {row['other_cpu_s']} s{doubt}"


def statements(rows: Sequence[Row]) -> str:
    """Return what the database was asked, a table per counted run; empty when nothing was counted."""
    return "\n\n".join(_counted(row) for row in rows if "statements" in row)


def _counted(row: Row) -> str:
    head = f"**{row['workload']}** {row['variant']}, per 1000 steps\n\n| calls | rows | ms | statement |"
    body = [
        f"| {each['calls']} | {each['rows']} | {each['ms']} | `{_short(each['statement'])}` |"
        for each in row["statements"]
    ]
    return "\n".join([head, "| --- | --- | --- | --- |", *body])


def _short(statement: str) -> str:
    return statement if len(statement) <= 160 else f"{statement[:159]}…"


def save(path: Path, rows: Sequence[Row], command: str, machine: Row) -> None:
    """Write the result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "command": command, "rows": rows, "summary": summary(rows)}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
