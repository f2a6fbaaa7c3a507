"""`manage.py lemline <area> <verb>`: hands everything behind the word to `workflows.cli`."""

import argparse
import contextlib
import os
import signal
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Leaves options and exit codes to `workflows.cli.main`; Django's own do not apply."""

    help = "Register, run and watch workflows: manage.py lemline --help"
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Enter from the command line."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                # As an interrupt, so that child processes are ended too. Servers take these signals themselves.
                signal.signal(number, signal.default_int_handler)
        from workflows.cli.main import main

        _leave(main(argv[2:]))

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever comes; for `call_command` only."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Enter from Python: `call_command("lemline", "definition", "list")`."""
        from workflows.cli.main import main

        code = main(list(args) + options["arguments"])
        if code:
            raise SystemExit(code)


def _leave(code: int) -> NoReturn:
    """End this process now: Python would wait for the threads of activities that cannot be stopped."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
