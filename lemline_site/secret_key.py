"""The key that signs sessions and marks of secrets, for those who did not set one."""

import os
import secrets
import threading
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
    """Write whole or not at all; whoever is second keeps what the first wrote."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(text, "ascii")
    draft.chmod(0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
