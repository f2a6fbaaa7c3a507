"""`dev`: everything in one process, to try things out."""

import argparse
import os
import secrets

from workflows.cli.areas import Areas, add_verb
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

    LEMLINE_DEV_PASSWORD and LEMLINE_DEV_API_KEY set the credentials; otherwise they are made up.
    """
    from django.core.management import call_command

    from workers import embedded
    from workflows.runtime import accounts

    call_command("migrate", interactive=False, verbosity=0)
    password = os.environ.get("LEMLINE_DEV_PASSWORD") or secrets.token_urlsafe(9)
    key = os.environ.get("LEMLINE_DEV_API_KEY") or f"dev-{secrets.token_urlsafe(18)}"
    accounts.ensure_admin(password)
    accounts.ensure_api_key(key, name="dev")
    print(_welcome(f"http://{HOST}:{options.port}", password, key), flush=True)
    embedded.serve(HOST, options.port)


def _welcome(url: str, password: str, key: str) -> str:
    return (
        f"\n  API      {url}/api/v1        key       {key}\n"
        f"  Docs     {url}/api/v1/docs\n"
        f"  Admin    {url}/admin/        admin     {password}\n"
        f"  Health   {url}/health\n\n"
        f"  curl -H 'Authorization: Bearer {key}' {url}/api/v1/workflows\n"
    )
