"""`manage.py lemline <area> <verb>`: hands everything behind the word to `workflows.cli`."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Leaves options and exit codes to `workflows.cli.main`; Django's own do not apply."""

    help = "Register, run and watch workflows: manage.py lemline --help"
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Enter from the command line."""
        from workflows.cli.main import main

        sys.exit(main(argv[2:]))

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever comes; for `call_command` only."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Enter from Python: `call_command("lemline", "definition", "list")`."""
        from workflows.cli.main import main

        code = main(list(args) + options["arguments"])
        if code:
            raise SystemExit(code)
