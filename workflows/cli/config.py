"""`config list|get|validate`: what is set, and where that comes from."""

import argparse
import re
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas
from workflows.cli.exits import CommandError, Exit
from workflows.cli.mistakes import nearest
from workflows.cli.output import Output, masked
from workflows.dsl.jsontext import Json

if TYPE_CHECKING:
    from lemline_site.config.sources import Setting

SOURCES = ("default", "preset", "file", "environment", "command-line")
COLUMNS = ("key", "value", "source")

_VARIABLE = re.compile("[A-Z0-9_]+")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "config", "The configuration and its sources.")
    listing = area.verb("list", _list)
    listing.add_argument("--source", metavar="SOURCE", help=f"only what comes from {', '.join(SOURCES)}")
    get = area.verb("get", _get)
    get.add_argument("key", help="such as lemline.web.port; lemline. may be left out")
    area.verb("validate", _validate)


def _list(options: argparse.Namespace, output: Output) -> None:
    """List every key with its value and source; passwords are left out."""
    wanted = options.source
    if wanted is not None and wanted not in SOURCES:
        raise CommandError(f"{wanted!r} is no source; choose from {', '.join(SOURCES)}", Exit.USAGE)
    rows = [_row(setting) for setting in _settings() if wanted in (None, source_of(setting))]
    output.table(rows, COLUMNS)


def _get(options: argparse.Namespace, output: Output) -> None:
    """Print the value of one key, whole."""
    key = options.key if options.key.startswith("lemline.") else f"lemline.{options.key}"
    settings = {setting.key.name: setting for setting in _settings()}
    if key not in settings:
        raise CommandError(f"there is no key {key}{nearest(key, settings)}", Exit.NOT_FOUND)
    if output.format == "text":
        print(settings[key].text)
    else:
        output.value({**_row(settings[key]), "value": settings[key].text})


def _validate(options: argparse.Namespace, output: Output) -> int:
    """Check the configuration and what it leads to; leaves with 3 when something is wrong."""
    from django.core.checks import ERROR, run_checks

    messages = [message for message in run_checks() if not message.is_silenced()]
    for message in messages:
        tell = output.error if message.is_serious(ERROR) else output.warning
        tell(f"{message.id}: {message.msg}" + (f" ({message.hint})" if message.hint else ""))
    if any(message.is_serious(ERROR) for message in messages):
        return Exit.CONFIGURATION
    changed = sum(source_of(setting) != "default" for setting in _settings())
    output.note(f"the configuration is valid; {changed} keys are set")
    return Exit.OK


def source_of(setting: "Setting") -> str:
    """Return the sort of source that a value came from."""
    source = setting.source
    if source == "default" or source.startswith("preset "):
        return source.partition(" ")[0]
    if source == "-D":
        return "command-line"
    return "environment" if _VARIABLE.fullmatch(source) else "file"


def _settings() -> "tuple[Setting, ...]":
    from django.conf import settings

    found: tuple[Setting, ...] = settings.LEMLINE_SOURCES.settings
    return found


def _row(setting: "Setting") -> dict[str, Json]:
    text = setting.text
    value = "***" if setting.key.name == "lemline.secret-key" and text else masked(text)
    return {"key": setting.key.name, "value": value, "source": setting.source}
