"""`workflow run|validate`: a file, without a server, a broker or a database."""

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas
from workflows.cli.definition import files_of, show_mistakes, shown_name
from workflows.cli.exits import Exit, expected
from workflows.cli.inputs import add_input_flags, duration, read_file, read_input
from workflows.cli.mistakes import line_of, mistake_to_json
from workflows.cli.output import Output, to_json
from workflows.dsl.jsontext import Json

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

    def tell(view: "InstanceView") -> None:
        output.progress(f"{view.status} {' '.join(view.positions)}", time.perf_counter() - begun)

    try:
        view = embedded.run_file(text, given, options.timeout.total_seconds(), tell)
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
    limit = f"{options.timeout.total_seconds():g} s (--timeout)"
    output.error(f"still {view.status} after {limit}: {' '.join(shown['positions'])}")
    return Exit.TIMEOUT


def _validate(options: argparse.Namespace, output: Output) -> int:
    """Check definitions and print every mistake as file:line:column: pointer: message.

    Leaves with 6 when one is refused.
    """
    verdicts = [_Verdict.of(file, output) for file in files_of(options, output)]
    if output.format != "text":
        output.value([verdict.to_json() for verdict in verdicts])
    return max((verdict.code for verdict in verdicts if verdict.code), default=Exit.OK)


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """What checking one file gave, told to people as soon as it is known."""

    file: str
    code: Exit
    mistakes: tuple[object, ...] = ()
    warnings: tuple[object, ...] = ()

    @classmethod
    def of(cls, file: str, output: Output) -> "_Verdict":
        from workers import embedded

        try:
            definition = embedded.read_definition(read_file(file))
        except expected() as error:
            mistakes = tuple(getattr(error, "errors", ()))
            if output.format == "text" or not mistakes:
                return cls(file=file, code=show_mistakes(file, error, output, stream=sys.stdout), mistakes=mistakes)
            return cls(file=file, code=Exit.VALIDATION, mistakes=mistakes)
        for warning in definition.warnings:
            output.warning(line_of(warning, file=shown_name(file)))
        document = definition.document
        output.note(f"{shown_name(file)}: valid ({document.namespace}/{document.name}:{document.version})")
        return cls(file=file, code=Exit.OK, warnings=tuple(definition.warnings))

    def to_json(self) -> dict[str, Json]:
        """Return it for programs."""
        return {
            "file": self.file,
            "valid": self.code is Exit.OK,
            "errors": [mistake_to_json(mistake) for mistake in self.mistakes],
            "warnings": [mistake_to_json(warning) for warning in self.warnings],
        }
