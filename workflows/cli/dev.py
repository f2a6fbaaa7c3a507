"""`dev`: everything in one process, to try things out."""

import argparse
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflows.cli.areas import Areas, add_verb
from workflows.cli.exits import CommandError
from workflows.cli.output import Output

HOST = "127.0.0.1"
"""Loopback only: the credentials are printed, and workflows may call this machine."""


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = add_verb(areas, "dev", _serve)
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8080"), help="default: PORT, else 8080")
    parser.set_defaults(is_server=True)


def _serve(options: argparse.Namespace, output: Output) -> None:
    """Serve the API, the admin pages, workers and timers until interrupted.

    LEMLINE_DEV_PASSWORD and LEMLINE_DEV_API_KEY set the credentials; otherwise they are made once and kept.
    """
    from django.conf import settings
    from django.core.management import call_command

    from lemline_site.credentials import credentials
    from workers import embedded
    from workflows.runtime import accounts

    data = Path(settings.LEMLINE.data_dir)
    made = credentials(data)
    with _alone(_lock_file(data)):
        call_command("migrate", interactive=False, verbosity=0)
        accounts.ensure_admin(made.password)
        accounts.ensure_api_key(made.api_key, name="dev")
        welcome = _welcome(f"http://{HOST}:{options.port}", made.password, made.api_key)
        try:
            embedded.serve(HOST, options.port, lambda: print(welcome, flush=True))
        except OSError as error:
            raise CommandError(
                f"port {options.port}: {error.strerror}; choose another with PORT=8081 or --port"
            ) from error


def _lock_file(data: Path) -> Path:
    """The lock lies beside the database, wherever a process was started that uses it."""
    from django.db import connection

    return Path(f"{connection.settings_dict['NAME']}.lock" if connection.vendor == "sqlite" else data / "dev.lock")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes like this one from the database: each would begin again what the other works on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError("`lemline dev` serves this database already; stop it, or set DATABASE_URL") from error
        yield


def _welcome(url: str, password: str, key: str) -> str:
    return (
        f"\n  API      {url}/api/v1        key       {key}\n"
        f"  Docs     {url}/api/v1/docs   once logged in\n"
        f"  Admin    {url}/admin/        admin     {password}\n"
        f"  Health   {url}/health\n\n"
        f"  curl -H 'Authorization: Bearer {key}' {url}/api/v1/workflows\n\n"
        "  Ctrl-C stops it; what is open then goes on at the next start.\n"
    )
