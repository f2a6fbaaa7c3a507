"""What a command shows: a table for people, JSON or YAML for programs. Results on stdout, the rest on stderr."""

import os
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TextIO

from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json

_COLOURS = {
    "completed": "32",
    "running": "36",
    "waiting": "34",
    "pending": "37",
    "suspended": "33",
    "faulted": "31",
    "cancelled": "35",
    "error": "31",
    "warning": "33",
    "head": "1",
}
_WIDEST_CELL = 72
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")
_CLEAR_LINE = "\r\x1b[K"


class Output:
    """Where and how the results of one command are shown."""

    def __init__(self, options: Namespace) -> None:
        self.format: str = getattr(options, "format", None) or "text"
        self.is_quiet: bool = getattr(options, "quiet", False)
        self._no_colour: bool = getattr(options, "no_color", False) or "NO_COLOR" in os.environ
        self._progress = ""
        """What `progress` told last."""

    def value(self, value: Json) -> None:
        """Print a JSON value: as YAML when asked for, else as JSON with indentation."""
        print(to_yaml(value) if self.format == "yaml" else to_json(value))

    def table(self, rows: Sequence[Mapping[str, Json]], columns: Sequence[str], *, whole: Json = None) -> None:
        """Print rows as a table of these columns; to programs, `whole` or else the rows entirely."""
        if self.format != "text":
            self.value(list(rows) if whole is None else whole)
            return
        cells = [[cell(row.get(column)) for column in columns] for row in rows]
        heads = [column.upper() for column in columns]
        widths = [max(len(line[index]) for line in [heads, *cells]) for index in range(len(columns))]
        self._line([self.colour(head.ljust(width), "head") for head, width in zip(heads, widths, strict=True)])
        for line in cells:
            padded = zip(line, widths, strict=True)
            self._line([self.colour(text.ljust(width), text) for text, width in padded])

    def page(
        self,
        rows: Sequence[Mapping[str, Json]],
        columns: Sequence[str],
        items: Sequence[Mapping[str, Json]],
        cursor: str | None,
    ) -> None:
        """Print a page of a list: for people as a table, and how to go on; to programs what the API answers.

        Args:
            rows: What the table shows.
            columns: Which members of them.
            items: The same entirely.
            cursor: Where the next page begins; None after the last one.
        """
        self.table(rows, columns, whole={"items": list(items), "next": cursor})
        if self.format == "text":
            self.more(cursor)

    def more(self, cursor: str | None) -> None:
        """Tell people how to go on, if there is more."""
        if cursor:
            self.note(f"more: --cursor {cursor}")

    def record(self, record: Mapping[str, Json]) -> None:
        """Print one object: a line per member for people."""
        if self.format != "text":
            self.value(dict(record))
            return
        width = max(map(len, record))
        for name, value in record.items():
            text = value if isinstance(value, str) else "" if value is None else to_json(value, indent=False)
            print(f"{self.colour(name.ljust(width), 'head')}  {self.colour(text, text)}")

    def note(self, text: str) -> None:
        """Tell people something on stderr, unless they asked for quiet."""
        if not self.is_quiet:
            self._tell(text)

    def progress(self, doing: str, seconds: float) -> None:
        """Say what takes long: on a terminal in one line that changes, elsewhere when it is something else."""
        if self.is_quiet:
            return
        if sys.stderr.isatty():
            line = f"{doing} ({seconds:.0f} s)"[: shutil.get_terminal_size().columns - 1]
            print(f"{_CLEAR_LINE}{line}", end="", file=sys.stderr, flush=True)
        elif doing != self._progress:
            print(doing, file=sys.stderr, flush=True)
        self._progress = doing

    def warning(self, text: str) -> None:
        """Tell people about something that is probably a mistake."""
        self.note(f"{self.colour('warning', 'warning', sys.stderr)}: {text}")

    def error(self, text: str) -> None:
        """Say on stderr why it did not work, quiet or not."""
        self._tell(f"{self.colour('error', 'error', sys.stderr)}: {text}")

    def colour(self, text: str, name: str, stream: TextIO | None = None) -> str:
        """Return the text in the colour of that name, on a terminal only."""
        code = _COLOURS.get(name)
        if code is None or self._no_colour or not (stream or sys.stdout).isatty():
            return text
        return f"\x1b[{code}m{text}\x1b[0m"

    def _tell(self, text: str) -> None:
        """Print a line on stderr in place of the line of progress."""
        is_over_progress, self._progress = self._progress and sys.stderr.isatty(), ""
        print(f"{_CLEAR_LINE}{text}" if is_over_progress else text, file=sys.stderr)

    @staticmethod
    def _line(cells: Iterable[str]) -> None:
        print("  ".join(cells).rstrip())


def cell(value: Json) -> str:
    """Return a value as one line; on a terminal a short one."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else to_json(value, indent=False)
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST_CELL or not sys.stdout.isatty() else f"{line[: _WIDEST_CELL - 1]}…"


def named(workflow: Mapping[str, Json]) -> str:
    """Return how a workflow is called, of what the API says about it: `namespace/name:version`."""
    return f"{workflow['namespace']}/{workflow['name']}:{workflow['version']}"


def masked(text: str) -> str:
    """Return a text without the passwords of URLs in it."""
    return _PASSWORD.sub(r"\1:***@", text)


def to_json(value: Json, *, indent: bool = True) -> str:
    """Return JSON with every number as it was given."""
    import msgspec

    text = jsontext.encode(value)
    return (msgspec.json.format(text, indent=2) if indent else text).decode()


def to_yaml(value: Json) -> str:
    """Return YAML with the keys in their order and every number as it was given."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Knows decimals; repeats a value instead of writing an anchor."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def decimal(dumper: yaml.SafeDumper, number: Decimal) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:float", str(number))

    def moment(dumper: yaml.SafeDumper, at: datetime) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", at.isoformat())

    Dumper.add_representer(Decimal, decimal)
    Dumper.add_representer(datetime, moment)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True).rstrip("\n")
