"""The command line in this process; `tests/cli/processes.py` has it in processes of its own."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workflows.cli.exits import Exit
from workflows.cli.main import main
from workflows.runtime import process


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: Exit
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result of a command that was asked for JSON."""
        return json.loads(self.out)


Lemline = Callable[..., Done]


@pytest.fixture
def lemline(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lemline:
    """Run a command: `lemline("workflow", "run", path, stdin="…")`."""

    def run(*arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Done(Exit(code), written.out, written.err)

    return run


@pytest.fixture
def stored(sqlite: str) -> Iterator[str]:
    """An empty database with tables, and nobody who works on it; its URL."""
    yield sqlite
    process.end()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a text into a file."""

    def write(text: str, name: str = "flow.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write
