"""A file of numbers that several processes append to: what happened in them, and when."""

import os
from pathlib import Path

_WIDTH = 24


class Marks:
    """One number per line, each written by one call: appending is atomic."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def clear(self) -> None:
        """Begin anew."""
        self._path.write_bytes(b"")

    def add(self, value: float) -> None:
        """Append a number."""
        if self._file is None:
            self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(self._file, f"{value:{_WIDTH - 1}.6f}\n".encode())

    def count(self) -> int:
        """Return how many there are."""
        return self._path.stat().st_size // _WIDTH

    def read(self) -> list[float]:
        """Return them."""
        return [float(line) for line in self._path.read_text().splitlines()]
