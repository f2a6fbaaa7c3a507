"""The key that signs sessions and marks of secrets, for those who did not set one."""

import os
import secrets
from pathlib import Path


def load_or_make(folder: Path) -> str:
    """Return the key kept in a folder; the first process makes it, and those that start with it wait for nothing."""
    path = folder / "secret-key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write_once(path, secrets.token_urlsafe(50))
    return path.read_text("ascii")


def _write_once(path: Path, text: str) -> None:
    """Write whole or not at all; whoever is second keeps what the first wrote."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, "ascii")
    draft.chmod(0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
