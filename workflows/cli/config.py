"""`config list|get|validate`: what is set, and where that comes from."""

import argparse

from workflows.cli.areas import Area, Areas
from workflows.cli.output import Output


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "config", "The configuration and its sources.")
    listing = area.verb("list", _list)
    listing.add_argument("--source", help="only what comes from here: default, preset, file, environment, -D")
    get = area.verb("get", _get)
    get.add_argument("key")
    area.verb("validate", _validate)


def _list(options: argparse.Namespace, output: Output) -> None:
    """List every key with its value and source."""


def _get(options: argparse.Namespace, output: Output) -> None:
    """Print the value of one key."""


def _validate(options: argparse.Namespace, output: Output) -> None:
    """Check the configuration; leaves with 3 when something is wrong."""
