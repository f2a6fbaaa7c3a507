"""`workflow run|validate`: a file, without a server, a broker or a database."""

import argparse
import time
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas
from workflows.cli.definition import files_of, show_mistakes
from workflows.cli.exits import Exit, expected
from workflows.cli.inputs import add_input_flags, duration, read_file, read_input
from workflows.cli.mistakes import line_of
from workflows.cli.output import Output, to_json

if TYPE_CHECKING:
    from workflows.runtime.operations import InstanceView


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "workflow", "Run or check a definition in a file.", "workflows")
    run = area.verb("run", _run)
    run.add_argument("file", metavar="FILE", help="a definition; - is stdin")
    add_input_flags(run)
    run.add_argument("--timeout", type=duration, default=duration("1h"), help="give up after (default: 1h)")
    validate = area.verb("validate", _validate)
    validate.add_argument("files", nargs="*", metavar="FILE", help="definitions; - is stdin")
    validate.add_argument("--directory", "-d", help="every YAML and JSON file in it")
    validate.add_argument("--recursive", "-r", action="store_true", help="in its folders too")


def _run(options: argparse.Namespace, output: Output) -> int:
    """Run a definition to its end, embedded, and print its output as JSON.

    Leaves with 6 when the file is refused, 7 when the workflow faulted, 8 when it took too long.
    """
    from workers import embedded

    text, given = read_file(options.file), read_input(options)
    begun = time.perf_counter()
    try:
        view = embedded.run_file(text, given, options.timeout.total_seconds())
    except expected() as error:
        return show_mistakes(options.file, error, output)
    return _report(view, time.perf_counter() - begun, options, output)


def _report(view: "InstanceView", seconds: float, options: argparse.Namespace, output: Output) -> int:
    shown = view.to_json()
    if view.status == "completed":
        output.value(shown["output"])
        output.note(f"completed in {seconds:.3f} s")
        return Exit.OK
    if view.status in ("faulted", "cancelled"):
        output.error(f"{view.status} after {seconds:.3f} s")
        print(to_json(shown["error"]), flush=True)
        return Exit.EXECUTION
    output.error(f"still {view.status} after {options.timeout.total_seconds():g} s: {' '.join(shown['positions'])}")
    return Exit.TIMEOUT


def _validate(options: argparse.Namespace, output: Output) -> int:
    """Check definitions and print every mistake as file:line:column: pointer: message.

    Leaves with 6 when one is refused.
    """
    from workflows.dsl import parse

    worst = Exit.OK
    for file in files_of(options):
        try:
            definition = parse(read_file(file))
        except expected() as error:
            worst = show_mistakes(file, error, output)
            continue
        for warning in definition.warnings:
            output.warning(line_of(warning, file=file))
        document = definition.document
        output.note(f"{file}: valid ({document.namespace}/{document.name}:{document.version})")
    return worst
