"""Puts a result file into the documentation: `python -m bench.publish bench/results/DATE.json`.

Writes the chart, the tables of docs/performance.md and the short one of README.md, each between its marks.
"""

import json
import sys
from collections.abc import Sequence
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
    """Read the result file, write the pages."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    path = Path(arguments[0])
    result = json.loads(path.read_text("utf-8"))
    (ROOT / "docs/benchmark.svg").write_text(chart(result["summary"]), "utf-8")
    _write(ROOT / "docs/performance.md", _pages(result, path.name))
    _write(ROOT / "README.md", short_table(result["summary"]))
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


def _pages(result: Row, name: str) -> str:
    machine = result["machine"]
    peers = ", ".join(f"{peer} {version}" for peer, version in machine["peers"].items())
    about = (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, Linux {machine['kernel']},"
        f" Python {machine['python']}, PostgreSQL {machine['postgresql']}, Redis {machine['redis']}; {peers}."
    )
    titles = {name: workload.title for name, workload in WORKLOADS.items()}
    parts = [
        "![Lemline beside its peers](benchmark.svg)",
        (
            f"{about}\nCommit {machine['commit']}, `{result['command']}`; every single run is in"
            f" [{name}](../bench/results/{name})."
        ),
        goals.table(result["summary"]),
        tables(result["summary"], titles),
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
