"""An SVG chart of a result file, for the documentation: `python -m bench.chart RESULT.json docs/benchmark.svg`.

One panel per workload that has peers, one bar per peer. Colours follow the reader's scheme, light or dark.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What one workload shows."""

    workload: str
    variant: str
    figure: str
    title: str
    unit: str

    @property
    def more_is_better(self) -> bool:
        """Whether the best has the longest bar."""
        return "less" not in self.unit


PANELS = (
    Panel(workload="W1", variant="default", figure="instances_per_s", title="W1: 5 steps", unit="instances/s"),
    Panel(
        workload="W4", variant="500", figure="instances_per_s", title="W4: 5 GETs, 500 instances", unit="instances/s"
    ),
    Panel(
        workload="W4", variant="2000", figure="instances_per_s", title="W4: 5 GETs, 2000 instances", unit="instances/s"
    ),
    Panel(workload="W2", variant="default", figure="p50_ms", title="W2: one at a time, p50", unit="ms, less is better"),
    Panel(workload="W3", variant="default", figure="wall_s", title="W3: 1000 items, join", unit="s, less is better"),
    Panel(workload="W5", variant="default", figure="p95_ms", title="W5: lateness, p95", unit="ms, less is better"),
)

_WIDTH, _COLUMNS, _PANEL_WIDTH, _GAP = 760, 2, 370, 20
_HEAD, _BAR, _LABEL, _VALUE = 26, 20, 96, 64
"""Heights of a panel's title and of a bar; widths of what stands left and right of the bars."""

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.unit { fill: #57606a; }
rect { fill: #8c959f; }
.lemline { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .unit { fill: #9198a1; }
  rect { fill: #6e7681; }
  .lemline { fill: #4493f8; }
}
"""


def main(arguments: Sequence[str]) -> int:
    """Read the result file, write the chart."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    result = json.loads(Path(arguments[0]).read_text("utf-8"))
    Path(arguments[1]).write_text(chart(result["summary"]), "utf-8")
    return 0


def chart(summary: Sequence[Row]) -> str:
    """Return the chart of a summary as SVG; panels that the summary lacks are left out."""
    panels = [(panel, lines) for panel in PANELS if (lines := _lines(panel, summary))]
    parts, top = [], 0
    for index in range(0, len(panels), _COLUMNS):
        row = panels[index : index + _COLUMNS]
        parts += [
            f'<g transform="translate({place * (_PANEL_WIDTH + _GAP)} {top})">\n{_panel(panel, lines)}\n</g>'
            for place, (panel, lines) in enumerate(row)
        ]
        top += max(_HEAD + _BAR * len(lines) for _, lines in row) + _GAP
    height = max(0, top - _GAP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' role="img" aria-label="Lemline beside its peers">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>\n"])


def _lines(panel: Panel, summary: Sequence[Row]) -> list[Row]:
    return [
        line
        for line in summary
        if (line["workload"], line["variant"]) == (panel.workload, panel.variant) and panel.figure in line
    ]


def _panel(panel: Panel, lines: Sequence[Row]) -> str:
    longest = max(line[panel.figure] for line in lines) or 1
    room = _PANEL_WIDTH - _LABEL - _VALUE
    title = f'<text y="14"><tspan class="title">{escape(panel.title)}</tspan>'
    parts = [f'{title} <tspan class="unit">{escape(panel.unit)}</tspan></text>']
    for index, line in enumerate(lines):
        top, value = _HEAD + index * _BAR, line[panel.figure]
        width = max(1, round(room * value / longest))
        name = "lemline" if line["peer"] == "lemline" else "peer"
        parts += [
            f'<text x="{_LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(line["peer"])}</text>',
            f'<rect class="{name}" x="{_LABEL}" y="{top + 2}" width="{width}" height="{_BAR - 6}" rx="2"/>',
            f'<text x="{_LABEL + width + 6}" y="{top + 13}">{_number(value)}</text>',
        ]
    return "\n".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
