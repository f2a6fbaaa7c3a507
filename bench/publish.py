"""Puts result files into the documentation: `python -m bench.publish bench/results/DATE.json`. Several of one machine,
of different workloads, stand beside one another.

Writes the chart, the tables of docs/performance.md and the short one of README.md, each between its marks.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import goals
from bench.chart import PANELS, Panel, chart
from bench.report import tables, text_of
from bench.workloads import WORKLOADS

Row = dict[str, Any]

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main(arguments: Sequence[str]) -> int:
    """Read the result files, write the pages."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    results = {Path(name).name: json.loads(Path(name).read_text("utf-8")) for name in arguments}
    summary = [line for result in results.values() for line in result["summary"]]
    (ROOT / "docs/benchmark.svg").write_text(chart(summary), "utf-8")
    _write(ROOT / "docs/performance.md", _pages(results, summary))
    _write(ROOT / "README.md", short_table(summary))
    return 0


def _write(page: Path, content: str) -> None:
    page.write_text(replaced(page.read_text("utf-8"), content), "utf-8")


def replaced(page: str, content: str) -> str:
    """Return a page with other content between its marks.

    Raises:
        ValueError: It lacks them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def _pages(results: Mapping[str, Row], summary: Sequence[Row]) -> str:
    machine = next(iter(results.values()))["machine"]
    peers = ", ".join(f"{peer} {version}" for peer, version in machine["peers"].items())
    about = (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, Linux {machine['kernel']},"
        f" Python {machine['python']}, PostgreSQL {machine['postgresql']}, Redis {machine['redis']}; {peers}."
    )
    commands = "; ".join(
        f"commit {result['machine']['commit']}, `{result['command']}`: [{name}](../bench/results/{name})"
        for name, result in results.items()
    )
    titles = {name: workload.title for name, workload in WORKLOADS.items()}
    parts = [
        "![Lemline beside its peers](benchmark.svg)",
        f"{about}\nEvery single run: {commands}.",
        goals.table(summary),
        tables(summary, titles),
    ]
    return "\n\n".join(filter(None, parts))


def short_table(summary: Sequence[Row]) -> str:
    """Return Lemline beside the fastest durable peer of each workload, as Markdown."""
    rows = [row for panel in PANELS if (row := _short_row(panel, summary))]
    head = ["workload", "", "Lemline", "the fastest durable peer"]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _short_row(panel: Panel, summary: Sequence[Row]) -> list[str]:
    figures = {
        line["peer"]: line[panel.figure]
        for line in summary
        if (line["workload"], line["variant"]) == (panel.workload, panel.variant) and panel.figure in line
    }
    peers = [peer for peer in goals.DURABLE if peer in figures]
    if "lemline" not in figures or not peers:
        return []
    best = (max if panel.more_is_better else min)(peers, key=lambda peer: figures[peer])
    return [panel.title, panel.unit, text_of(figures["lemline"]), f"{text_of(figures[best])} ({best})"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
