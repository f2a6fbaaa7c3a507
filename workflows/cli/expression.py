"""`expression EXPR JSON`, also `debug expression`: what a runtime expression makes of a value."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workflows.cli.areas import Area, Areas, add_verb
from workflows.cli.exits import CommandError, Exit
from workflows.cli.inputs import read_file
from workflows.cli.output import Output
from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json

if TYPE_CHECKING:
    from workflows.dsl.expression import Expression


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add both spellings."""
    debug = Area(areas, "debug", "Look into what workflows do.")
    for parser in (add_verb(areas, "expression", _evaluate), debug.verb("expression", _evaluate)):
        parser.add_argument("expression", metavar="EXPR", help="with or without ${ }")
        parser.add_argument("value", nargs="?", default="null", metavar="JSON", help="what . is; - is stdin")
        parser.add_argument(
            "--arg", action="append", default=[], metavar="NAME=JSON", help="a variable, such as context={}"
        )


def _evaluate(options: argparse.Namespace, output: Output) -> int:
    """Evaluate a jq expression as a workflow would, and print its result."""
    from workflows.dsl import expression
    from workflows.engine.problems import ProblemError

    text = read_file("-") if options.value == "-" else options.value
    variables = dict(_variable(item) for item in options.arg)
    try:
        program = expression.parse_expression(options.expression)
        expression.check(program)
        result = _result(program, _json(text, "the value"), variables)
    except expression.ExpressionSyntaxError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise CommandError(f"{error.message}{hint}", Exit.VALIDATION) from error
    except ProblemError as error:
        raise CommandError(error.problem.detail or error.problem.type, Exit.EXECUTION) from error
    output.value(result)
    return Exit.OK


def _result(program: "Expression", value: Json, variables: Mapping[str, Json]) -> Json:
    import time

    from workflows.engine import expressions
    from workflows.runtime.jq_sandbox import open_sandbox

    sandbox = open_sandbox()
    try:
        return expressions.evaluate(program, value, {"now": time.time(), **variables})
    finally:
        sandbox.close()


def _variable(item: str) -> tuple[str, Json]:
    name, found, text = item.partition("=")
    if not found:
        raise CommandError(f"{item!r} is no variable; write name=JSON", Exit.USAGE)
    return name.lstrip("$"), _json(text, f"${name}")


def _json(text: str | bytes, what: str) -> Json:
    try:
        return jsontext.decode(text)
    except jsontext.JsonError as error:
        raise CommandError(f"{what} is not JSON: {error}", Exit.VALIDATION) from error
