"""`definition post|get|list|delete`."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from workflows.cli.areas import Area, Areas
from workflows.cli.exits import CommandError, Exit, code_of, expected, explained
from workflows.cli.inputs import actor, confirm, limit, read_file, reference
from workflows.cli.mistakes import line_of
from workflows.cli.output import Output
from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json

if TYPE_CHECKING:
    from workflows import models

ENDINGS = (".yaml", ".yml", ".json")
COLUMNS = ("namespace", "name", "version", "title", "createdAt")

_DEFINITION = re.compile(rb"\b(document|dsl|do|states)[\"']?\s*:")
"""What a definition has and other files of a folder have not; `states` for those of another age, to be refused."""


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "definition", "Register, show and delete definitions.", "definitions")
    post = area.verb("post", _post)
    post.add_argument("files", nargs="*", metavar="FILE", help="definitions; - is stdin")
    post.add_argument("--file", "-f", action="append", default=[], help="another way to name one")
    post.add_argument("--directory", "-d", help="every YAML and JSON file in it")
    post.add_argument("--recursive", "-r", action="store_true", help="in its folders too")
    post.add_argument("--force", "-F", "--update", action="store_true", help="replace a version that differs")
    post.add_argument("--validate-only", action="store_true", help="say what would happen, register nothing")
    get = area.verb("get", _get)
    get.add_argument("name", metavar="NAMESPACE/NAME")
    get.add_argument("version", nargs="?", help="default: latest")
    listing = area.verb("list", _list)
    listing.add_argument("--namespace", "-n")
    listing.add_argument("--name")
    listing.add_argument("--limit", type=limit, default=100)
    listing.add_argument("--cursor")
    delete = area.verb("delete", _delete)
    delete.add_argument("name", metavar="NAMESPACE/NAME")
    delete.add_argument("version", nargs="?", help="asked for, since deleting is for good")
    delete.add_argument("--force", "-F", action="store_true", help="also while instances of it are open")
    delete.add_argument("--yes", "-y", action="store_true", help="do not ask")


def files_of(options: argparse.Namespace, output: Output) -> list[str]:
    """Return the files that the flags name, in order; of a directory those that look like definitions."""
    named = [*options.files, *getattr(options, "file", ())]
    directories = [name for name in named if Path(name).is_dir()] + [options.directory] * bool(options.directory)
    files = [name for name in named if name not in directories]
    for directory in directories:
        for file in sorted(_texts_in(Path(directory), is_deep=options.recursive)):
            if _DEFINITION.search(read_file(file)):
                files.append(file)
            else:
                output.note(f"{file}: passed over, there is no `document` in it")
    if not files:
        raise CommandError("name a file or a --directory with definitions", Exit.USAGE)
    return files


def show_mistakes(file: str, error: Exception, output: Output, *, stream: TextIO | None = None) -> Exit:
    """Print why a file was refused, a line per mistake (on stderr unless told); returns the code for it."""
    code = code_of(error)
    if code is None:
        raise error
    mistakes = getattr(error, "errors", ())
    for mistake in mistakes:
        print(line_of(mistake, file=shown_name(file)), file=stream or sys.stderr)
    if not mistakes:
        text = explained(error)
        output.error(text if file in text or code is Exit.CONNECTION else f"{shown_name(file)}: {text}")
    return code


def shown_name(file: str) -> str:
    """Return how to call a file in a message."""
    return "<stdin>" if file == "-" else file


def _post(options: argparse.Namespace, output: Output) -> int:
    """Register definitions from files or a directory."""
    from workflows.runtime import operations

    worst, rows = Exit.OK, []
    for file in files_of(options, output):
        try:
            done = operations.register(
                read_file(file), actor=actor(), force=options.force, dry_run=options.validate_only
            )
        except expected() as error:
            worst = show_mistakes(file, error, output)
            if worst is Exit.CONNECTION:
                break
            continue
        for warning in done.warnings:
            output.warning(line_of(warning, file=shown_name(file)))
        result = "registered" if done.created else "unchanged"
        row = {"namespace": done.namespace, "name": done.name, "version": done.version, "digest": done.digest[:12]}
        rows.append({**row, "result": "valid" if options.validate_only else result, "file": file})
    if rows:
        output.table(rows, ("namespace", "name", "version", "result", "file"))
    return worst


def _get(options: argparse.Namespace, output: Output) -> None:
    """Show a definition as it was registered."""
    from workflows.runtime import operations

    wanted = reference(options.name, options.version)
    found = operations.find_definition(wanted.namespace, wanted.name, wanted.version or "latest", actor=actor())
    if output.format == "json":
        output.value(document(found.text))
    else:
        print(found.text.rstrip("\n"))


def _list(options: argparse.Namespace, output: Output) -> None:
    """List the definitions that can be started."""
    from workflows.runtime import operations

    page = operations.list_definitions(
        actor=actor(), namespace=options.namespace, name=options.name, limit=options.limit, cursor=options.cursor
    )
    rows = [_row(definition) for definition in page.items]
    output.page(rows, COLUMNS, rows, page.next)


def _delete(options: argparse.Namespace, output: Output) -> None:
    """Delete one version of a definition."""
    from workflows.runtime import operations

    wanted = reference(options.name, options.version)
    if wanted.version is None:
        raise CommandError("say which version to delete", Exit.USAGE)
    found = operations.find_definition(wanted.namespace, wanted.name, wanted.version, actor=actor())
    confirm(f"Delete {found}?", is_certain=options.yes)
    operations.delete_definition(found.namespace, found.name, found.version, actor=actor(), force=options.force)
    output.note(f"deleted {found}")


def document(text: str) -> Json:
    """Return a registered text, YAML or JSON, as plain values."""
    from workflows.dsl.yamltext import load

    try:
        return jsontext.decode(text)
    except jsontext.JsonError:
        return load(text)


def _texts_in(directory: Path, *, is_deep: bool) -> Iterator[str]:
    if not directory.is_dir():
        raise CommandError(f"there is no directory {directory}", Exit.NOT_FOUND)
    for folder, folders, names in os.walk(directory):
        yield from (str(Path(folder) / name) for name in names if name.endswith(ENDINGS))
        if not is_deep:
            folders.clear()


def _row(definition: "models.Definition") -> dict[str, Json]:
    from workflows.runtime.views import instant

    return {
        "namespace": definition.namespace,
        "name": definition.name,
        "version": definition.version,
        "digest": definition.digest,
        "title": definition.title,
        "createdAt": instant(definition.created_at),
    }
