"""Reads the command line, calls the verb, and turns what was raised into a line and an exit code."""

import argparse
import importlib
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from django.conf import settings

from workflows.cli.exits import CommandError, Exit, code_of, explained
from workflows.cli.mistakes import line_of, nearest
from workflows.cli.output import Output

AREAS = (
    "workflow", "definition", "instance", "schedule", "event", "sink", "webhook", "approval", "expression", "config",
    "worker", "dev", "admin",
)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Never raises, never exits."""
    try:
        options = build_parser().parse_args(arguments)
    except (_UsageError, CommandError) as error:
        print(error, file=sys.stderr)
        return Exit.USAGE
    except SystemExit:
        return Exit.OK
    output = Output(options)
    _set_log_level(options)
    try:
        code = int(options.verb(options, output) or Exit.OK)
        # Here, where somebody looks: a full disk or a reader that has left shows when the text is written out.
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        output.error("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.OK
    except Exception as error:  # noqa: BLE001  (the outermost frame: every error becomes a code)
        return _explain(error, options, output)


class _UsageError(Exception):
    pass


class Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process, and takes no abbreviations of flags."""

    def __init__(self, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(**kwargs)  # type: ignore[arg-type]  # passed on as they came

    def error(self, message: str) -> NoReturn:
        """Say what is wrong before the usage, and all there is to choose from when nothing was chosen."""
        if message.endswith(("required: AREA", "required: VERB")):
            raise _UsageError(self.format_help().rstrip())
        raise _UsageError(f"{self.prog}: {message}\n\n{self.format_usage().rstrip()}\n(more: {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Name the nearest choice as well."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        what = {"AREA": "command"}.get(str(action.metavar), "verb") if action.metavar else "choice"
        known = f"there are {', '.join(choices)}"
        raise argparse.ArgumentError(None, f"{value!r} is no {what}{nearest(str(value), choices) or f'; {known}'}")


def build_parser() -> Parser:
    """Return the parser of every area; each module adds its own verbs."""
    parser = Parser(prog="lemline", description="Register, run and watch workflows.", parents=[global_flags()])
    parser.add_argument("--version", "-V", action="version", version=_version())
    areas = parser.add_subparsers(title="areas", metavar="AREA", required=True, parser_class=Parser)
    for name in AREAS:
        importlib.import_module(f"workflows.cli.{name}").add(areas)
    return parser


def global_flags() -> Parser:
    """Flags that stand before or after the verb."""
    flags = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = flags.add_argument_group("everywhere")
    group.add_argument("--format", choices=("json", "yaml", "text"), help="how to show results (default: text)")
    group.add_argument("--no-color", action="store_true", help="no colours, not even on a terminal")
    group.add_argument("--quiet", "-q", action="store_true", help="results and errors only")
    group.add_argument("--verbose", "--debug", action="store_true", help="more of the log, and tracebacks of bugs")
    group.add_argument("--config", metavar="FILE", help="lemline.yaml or lemline.properties to read")
    group.add_argument("-D", dest="settings", action="append", metavar="KEY=VALUE", help="override a setting")
    return flags


def _set_log_level(options: argparse.Namespace) -> None:
    """A command line is for its results; the log of the parts it calls is shown when asked for."""
    if getattr(options, "is_server", False):
        return
    is_verbose = getattr(options, "verbose", False)
    logging.getLogger().setLevel(logging.INFO if is_verbose else logging.WARNING)
    if not is_verbose and settings.LEMLINE.messaging.url.startswith("memory:"):
        # Nothing is wrong: `lemline dev` finds in the database what a command leaves there.
        logging.getLogger("lemline.consequences").setLevel(logging.ERROR)


def _explain(error: Exception, options: argparse.Namespace, output: Output) -> int:
    code = code_of(error)
    if code is None:
        if getattr(options, "verbose", False):
            traceback.print_exc()
        output.error(f"{type(error).__name__}: {error} (a bug; --verbose shows where)")
        return Exit.OTHER
    output.error(explained(error))
    for item in getattr(error, "errors", ()):
        print(f"  {line_of(item)}", file=sys.stderr)
    return code


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"lemline {version('lemline')}"
    except PackageNotFoundError:
        return "lemline (from source)"
