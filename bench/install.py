"""Peers that need an environment of their own, installed at their first use into the data folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

RESTATE_SERVER = "@restatedev/restate-server@1.7.12"
RESTATE_PACKAGES = ("restate-sdk[serde]==1.3.0", "granian==2.8.7")
DBOS_PACKAGES = ("dbos==3.4.0", "psycopg[binary]==3.3.9")


class NotInstalledError(Exception):
    """A peer cannot be had here; the message says why."""


def interpreter(peer: str, folder: Path) -> tuple[str, Mapping[str, str]]:
    """Return the Python that runs a peer's driver, and what its environment needs besides.

    Raises:
        NotInstalledError: It cannot be installed on this machine.
    """
    if peer not in _INSTALLERS:
        return sys.executable, {}
    home = folder / peer
    python, mark = home / "venv/bin/python", home / _INSTALLERS[peer][1]
    try:
        if not mark.exists():
            home.mkdir(parents=True, exist_ok=True)
            _INSTALLERS[peer][0](home)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstalledError(f"{peer} is left out, its packages cannot be installed: {error}") from error
    return str(python), {"RESTATE_SERVER": str(mark)} if peer == "restate" else {}


def _install_dbos(home: Path) -> None:
    _install_packages(home, DBOS_PACKAGES)
    (home / "installed").touch()


def _install_restate(home: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is missing")
    _install_packages(home, RESTATE_PACKAGES)
    quiet = {**os.environ, "npm_config_update_notifier": "false", "npm_config_fund": "false"}
    subprocess.run([npm, "install", "--silent", "--prefix", str(home), RESTATE_SERVER], check=True, env=quiet)


def _install_packages(home: Path, packages: tuple[str, ...]) -> None:
    print(f"installing {' '.join(packages)} into {home}, once ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    pip = [str(home / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)


_INSTALLERS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "dbos": (_install_dbos, "installed"),
    "restate": (_install_restate, "node_modules/.bin/restate-server"),
}
"""How each is installed, and the file that is there once it is."""
