"""The stages of data around a task: what is validated and transformed, in the order of the DSL.

Before it runs: `if`, `input.schema` on the raw input, `input.from`. After: `output.as`,
`output.schema`, `export.as` on the transformed output, `export.schema` on the new context. All raise
`ProblemError`; the workflow's own stages are those of the root node.

Source: DSL, "Data Flow".
"""

from __future__ import annotations

from collections.abc import Iterable

import jsonschema_rs

from workflows.dsl.jsontext import Json
from workflows.dsl.model import Export, Input, Output, Schema
from workflows.engine.data import Data
from workflows.engine.problems import ProblemError, problem
from workflows.engine.scope import Scope

_VALIDATORS_KEPT = 1024
_ERRORS_SHOWN = 5
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000, size_limit=1_000_000)


def is_skipped(scope: Scope) -> bool:
    """Return whether `if` says that the task is not to run."""
    condition = scope.node.task.if_
    return condition is not None and not scope.test(condition, scope.frame.raw.value)


def transformed_input(scope: Scope, stage: Input) -> Data:
    """Return the task's input."""
    raw = scope.frame.raw
    if stage.schema is not None:
        validate(raw.value, stage.schema, "input")
    return raw if stage.from_ is None else scope.render_data(stage.from_, raw)


def transformed_output(scope: Scope, raw_output: Data) -> Data:
    """Return the task's output."""
    stage = scope.node.task.output
    return raw_output if stage is None else shaped(scope, stage, raw_output)


def shaped(scope: Scope, stage: Output, raw_output: Data) -> Data:
    """Return what a stage makes of an output."""
    scope.raw_output = raw_output
    output = raw_output if stage.as_ is None else scope.render_data(stage.as_, raw_output)
    if stage.schema is not None:
        validate(output.value, stage.schema, "output")
    return output


def exported_context(scope: Scope, stage: Export, raw_output: Data, output: Data) -> Data:
    """Return what `$context` is after the task."""
    scope.raw_output, scope.output = raw_output, output
    context = scope.state.shared if stage.as_ is None else scope.render_data(stage.as_, output)
    if stage.schema is not None:
        validate(context.value, stage.schema, "exported context")
    return context


def validate(value: Json, schema: Schema, what: str) -> None:
    """Check a value against a schema.

    Raises:
        ProblemError: It does not conform (`validation`), or the schema cannot be used (`configuration`).
    """
    validator = _validator(schema)
    try:
        errors = list(_first(validator.iter_errors(value)))
    except ValueError as error:
        # Nested more deeply than the validator goes.
        errors = [f"it cannot be checked: {error}"]
    if errors:
        raise ProblemError(problem("validation", f"the {what} does not conform to its schema: {'; '.join(errors)}"))


def _first(errors: Iterable[jsonschema_rs.ValidationError]) -> Iterable[str]:
    for count, error in enumerate(errors):
        if count == _ERRORS_SHOWN:
            yield "..."
            return
        path = "/".join(str(part) for part in error.instance_path)
        yield f"/{path}: {error.message[:200]}" if path else error.message[:200]


def _validator(schema: Schema) -> jsonschema_rs.Validator:
    known = _validators.get(id(schema))
    if known is not None and known[0] is schema:
        return known[1]
    validator = _compiled(schema)
    while len(_validators) >= _VALIDATORS_KEPT:
        _validators.pop(next(iter(_validators)), None)
    _validators[id(schema)] = (schema, validator)
    return validator


_validators: dict[int, tuple[Schema, jsonschema_rs.Validator]] = {}


def _compiled(schema: Schema) -> jsonschema_rs.Validator:
    """Compile a schema. Nothing is fetched, and patterns give up rather than backtrack without end."""
    if schema.format.partition(":")[0] != "json" or schema.resource is not None:
        kept = "kept outside the definition" if schema.resource else f"of format {schema.format!r}"
        raise ProblemError(problem("configuration", f"schemas {kept} are not supported yet; write it under `document`"))
    try:
        return jsonschema_rs.validator_for(schema.document, offline=True, pattern_options=_PATTERNS)
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        raise ProblemError(problem("configuration", f"the schema cannot be used: {str(error)[:300]}")) from error
