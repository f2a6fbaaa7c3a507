"""Peers that need an environment of their own, installed at their first use into the data folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

RESTATE_SERVER = "@restatedev/restate-server@1.7.12"
RESTATE_PACKAGES = ("restate-sdk[serde]==1.3.0", "granian==2.8.7")


class NotInstalledError(Exception):
    """A peer cannot be had here; the message says why."""


def interpreter(peer: str, folder: Path) -> tuple[str, Mapping[str, str]]:
    """Return the Python that runs a peer's driver, and what its environment needs besides.

    Raises:
        NotInstalledError: It cannot be installed on this machine.
    """
    if peer != "restate":
        return sys.executable, {}
    home = folder / "restate"
    server = home / "node_modules/.bin/restate-server"
    try:
        if not server.exists():
            _install_restate(home)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstalledError(f"restate is left out, its packages cannot be installed: {error}") from error
    return str(home / "venv/bin/python"), {"RESTATE_SERVER": str(server)}


def _install_restate(home: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is missing")
    home.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    pip = [str(home / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *RESTATE_PACKAGES], check=True)
    quiet = {**os.environ, "npm_config_update_notifier": "false", "npm_config_fund": "false"}
    subprocess.run([npm, "install", "--silent", "--prefix", str(home), RESTATE_SERVER], check=True, env=quiet)
