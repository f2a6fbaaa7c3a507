"""What commands are given: names of definitions, ids, files, JSON, and on whose behalf they act."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from workflows.cli.exits import CommandError, Exit
from workflows.dsl import jsontext

if TYPE_CHECKING:
    from workflows.runtime.operations import Actor

MOST_ROWS = 500
"""Of one page of a list."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A definition as people write it."""

    namespace: str
    name: str
    version: str | None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.version or 'latest'}"


def reference(text: str, version: str | None = None) -> Reference:
    """Read `name`, `namespace/name` or `namespace.name`, each with `:version` or without.

    The namespace is `default` when none is said.
    """
    text, colon, inline = text.partition(":")
    separator = "/" if "/" in text else "."
    namespace, found, name = text.partition(separator)
    if not found:
        namespace, name = "default", text
    if not namespace or not name or (colon and not inline):
        raise CommandError(f"{text!r} names no workflow; write namespace/name or namespace/name:version", Exit.USAGE)
    return Reference(namespace=namespace, name=name, version=version or inline or None)


def instance_id(text: str) -> UUID:
    """Read an instance's id."""
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no instance id: those are UUIDs", Exit.USAGE) from error


def read_file(path: str) -> bytes:
    """Return a file's bytes; `-` is stdin."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {path}", Exit.NOT_FOUND) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error


def read_input(options: argparse.Namespace) -> bytes:
    """Return the JSON text of `--input` or `--input-file`; `{}` without either."""
    if options.input_file is not None:
        text, source = read_file(options.input_file), options.input_file
    elif options.input is not None:
        text, source = options.input.encode("utf-8", "surrogateescape"), "--input"
    else:
        return b"{}"
    try:
        jsontext.decode(text)
    except jsontext.JsonError as error:
        raise CommandError(f"{source} is not JSON: {error}", Exit.VALIDATION) from error
    return bytes(text)


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--input` and `--input-file`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--input", "-i", metavar="JSON", help="the input (default: {})")
    group.add_argument("--input-file", metavar="FILE", help="a file with the input; - is stdin")


def duration(text: str) -> timedelta:
    """Read `PT5M`, or a number with `ms`, `s`, `m`, `h` or `d`; a bare number is seconds."""
    if text.startswith("P"):
        from workflows.dsl.duration import parse_duration

        return _checked(text, lambda: parse_duration(text))
    number = text.rstrip("msdh")
    unit = text[len(number) :] or "s"
    return _checked(text, lambda: timedelta(seconds=float(number) * _UNITS[unit]))


def _checked(text: str, read: Callable[[], timedelta]) -> timedelta:
    try:
        return read()
    except (ValueError, KeyError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write PT5M, 90s or 90") from error


def limit(text: str) -> int:
    """Read how many rows a list may have."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROWS:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range; write a number from 1 to {MOST_ROWS}")
    return int(text)


def moment(text: str) -> datetime:
    """Read a time in ISO 8601; UTC when it says nothing else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 2026-01-31 or 2026-01-31T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def label(text: str) -> tuple[str, str]:
    """Read `key=value` or `key:value`."""
    cut = min((text.find(mark) for mark in "=:" if mark in text), default=0)
    if cut <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no label; write key=value")
    return text[:cut], text[cut + 1 :]


def pair(what: str, form: str = "name=text") -> Callable[[str], tuple[str, str]]:
    """Return what reads `name=text`. Of anything else it says that it is `what`, and that `form` is to be written."""

    def read(text: str) -> tuple[str, str]:
        name, found, value = text.partition("=")
        if not found or not name:
            raise argparse.ArgumentTypeError(f"{text!r} is {what}; write {form}")
        return name, value

    return read


def actor() -> "Actor":
    """Return the operating system's user as the one who acts: who has the database may do anything."""
    import getpass

    from workflows.runtime.operations import Actor

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(name=name, door="cli", is_admin=True)


def confirm(question: str, *, is_certain: bool) -> None:
    """Ask on a terminal before something is lost.

    Raises:
        CommandError: No, or there is nobody to ask and `--yes` was not given.
    """
    if is_certain:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} Say --yes when nobody is there to ask.", Exit.USAGE)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was done")
