"""The key that signs sessions and marks of secrets, for those who did not set one."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def load_or_make(folder: Path) -> str:
    """Return the key kept in a folder; the first process makes it, and those that start with it wait for nothing."""
    return kept(folder / "secret-key", secrets.token_urlsafe(50))


def kept(path: Path, new: str) -> str:
    """Return the secret in a file that only its owner reads; a new one becomes it where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_once(path, new)
    return path.read_text("ascii")


def _write_once(path: Path, text: str) -> None:
    """Write whole or not at all; whoever is second, process or thread, keeps what the first wrote."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=path.parent, prefix=f"{path.name}.") as draft:
        draft.write(text)
        draft.flush()
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)
