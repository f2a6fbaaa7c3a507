"""Text to definition: the one reader of workflow documents."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from workflows.dsl import filter_variables, resources, rules, schedules, shapes
from workflows.dsl.expression import mistakes
from workflows.dsl.issues import DefinitionError, Issues, did_you_mean
from workflows.dsl.jsontext import Json
from workflows.dsl.model import (
    Definition,
    Document,
    Endpoint,
    Extension,
    Schedule,
    Task,
    TaskList,
    Use,
)
from workflows.dsl.position import below
from workflows.dsl.shapes import Context
from workflows.dsl.tasks import task, task_list
from workflows.dsl.yamltext import SIZE_LIMIT, read

LIMIT_BYTES = 1024 * 1024

_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
_TOP = ("document", "input", "use", "do", "timeout", "output", "schedule", "evaluate", "metadata")
_USE = ("authentications", "errors", "extensions", "functions", "retries", "secrets", "timeouts", "catalogs")
_EXTENDED = ("call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait", "all")
_OLD = ("states", "specVersion", "start")

Functions = Callable[[str], object | None]
"""Looks up a registered Python function by `name` or `name:version`."""


def parse(
    text: bytes | str,
    *,
    strict: bool = False,
    functions: Functions | None = None,
    limit_bytes: int | None = LIMIT_BYTES,
) -> Definition:
    """Return the definition that a text says.

    Args:
        text: YAML 1.2 or JSON, UTF-8.
        strict: Refuse what is otherwise accepted with a warning.
        functions: Looks up registered Python functions, so that a call of an unknown one is refused; None
            to leave that to the call.
        limit_bytes: Size of the text at most; None for a text that was registered before.

    Raises:
        DefinitionError: Everything that is wrong, each with line, column, pointer and a hint.

    Source: DSL reference 1.0.3; docs/dsl.md says how its open places are read.
    """
    source = read(text, limit_bytes, SIZE_LIMIT)
    issues = Issues(source.place, strict=strict)
    document = _Document(issues, source.value)
    definition = document.read(text)
    rules.check(definition, issues, functions)
    document.check_programs()
    document.check_filters(definition)
    if issues.errors:
        raise DefinitionError(issues.errors)
    return replace(definition, warnings=tuple(issues.warnings))


class _Document:
    """Reads one document, `use` before the tasks that refer to it."""

    def __init__(self, issues: Issues, value: Json) -> None:
        self._issues = issues
        if not isinstance(value, dict):
            kind = "nothing" if value is None else shapes.kind_of(value)
            issues.error("", f"a definition is an object with document and do, not {kind}")
            raise DefinitionError(issues.errors)
        self._value: dict[str, Json] = value
        use = self._value.get("use")
        self._context = Context(
            issues, mode=self._mode(), use=use if isinstance(use, dict) else {}, read_tasks=task_list
        )

    def _mode(self) -> str:
        evaluate = self._value.get("evaluate")
        mode = evaluate.get("mode", "strict") if isinstance(evaluate, dict) else "strict"
        return "loose" if mode == "loose" else "strict"

    def read(self, text: bytes | str) -> Definition:
        context, value = self._context, self._value
        if any(word in value for word in _OLD) and "do" not in value:
            self._issues.error(
                "", "this is a definition of DSL 0.8 or before", "rewrite `states` as tasks in `do`, in DSL 1.0"
            )
            raise DefinitionError(self._issues.errors)
        shapes.members(context, value, "", "a definition", _TOP, ("document", "do"))
        use = self._use()
        tasks = task_list(context, value.get("do", []), "/do")
        data = text.encode() if isinstance(text, str) else text
        return Definition(
            document=self._document(),
            do=tasks,
            source=value,
            digest=hashlib.sha256(data).hexdigest(),
            input=resources.input_of(context, value["input"], "/input") if "input" in value else None,
            output=resources.output_of(context, value["output"], "/output") if "output" in value else None,
            use=use,
            timeout=shapes.timeout(context, value["timeout"], "/timeout") if "timeout" in value else None,
            schedule=self._schedule(),
            mode=self._evaluate(),
            tasks={each.position: each for each in rules.walk(tasks, use)},
        )

    def check_programs(self) -> None:
        """Note expressions that are no jq, all of them at once: that costs a hundredth of one after the other."""
        if len(self._context.tried) > shapes.LOOSE_LIMIT:
            message = f"loose mode tries all texts as jq; here are more than {shapes.LOOSE_LIMIT} different ones"
            self._issues.error("/evaluate/mode", message, "mark expressions by ${ } and leave out the mode")
        for pointer, error in mistakes(self._context.programs):
            self._issues.error(pointer, error.message, error.hint)

    def check_filters(self, definition: Definition) -> None:
        """Note variables in event filters that nobody binds."""
        filter_variables.check(self._context, definition)

    def _document(self) -> Document:
        context, pointer = self._context, "/document"
        known = ("dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata")
        required: tuple[str, ...] = ("dsl", "namespace", "name", "version")
        required = required if "document" in self._value else ()
        inner = shapes.members(context, self._value.get("document", {}), pointer, "document", known, required)

        def text(key: str, what: str, pattern: re.Pattern[str] | None) -> str:
            return shapes.text(context, inner[key], below(pointer, key), what, pattern) if key in inner else ""

        dsl = text("dsl", "version of the DSL, e.g. 1.0.3", _VERSION)
        if dsl and _VERSION.fullmatch(dsl) and not dsl.startswith("1."):
            self._issues.error("/document/dsl", f"DSL {dsl} is not read here", "write dsl: 1.0.3")
        return Document(
            dsl=dsl,
            namespace=text("namespace", "namespace (letters, digits and hyphens, at most 63)", _NAME),
            name=text("name", "name (letters, digits and hyphens, at most 63)", _NAME),
            version=text("version", "semantic version, e.g. 1.0.0", _VERSION),
            title=text("title", "title", None) or None,
            summary=text("summary", "summary", None) or None,
            tags=shapes.members(context, inner.get("tags", {}), below(pointer, "tags"), "tags"),
            metadata=shapes.members(context, inner.get("metadata", {}), below(pointer, "metadata"), "metadata"),
        )

    def _schedule(self) -> Schedule | None:
        if "schedule" not in self._value:
            return None
        document = self._value.get("document")
        metadata = document.get("metadata") if isinstance(document, dict) else None
        return schedules.schedule(
            self._context, self._value["schedule"], metadata if isinstance(metadata, dict) else {}
        )

    def _evaluate(self) -> str:
        if "evaluate" not in self._value:
            return "strict"
        inner = shapes.members(self._context, self._value["evaluate"], "/evaluate", "evaluate", ("language", "mode"))
        language = inner.get("language", "jq")
        if language != "jq":
            self._issues.error(
                "/evaluate/language", f"expressions in {language!r} are not evaluated here", "language: jq"
            )
        mode = inner.get("mode", "strict")
        return shapes.choice(self._context, mode, "/evaluate/mode", "mode", ("strict", "loose"))

    def _use(self) -> Use:
        context = self._context
        value = shapes.members(context, self._value.get("use", {}), "/use", "use", _USE)
        for section in _USE:
            if section not in ("extensions", "secrets") and section in value:
                shapes.members(context, value[section], below("/use", section), f"use.{section}")
        self._check_sections(value)
        secrets = shapes.items(context, value.get("secrets", []), "/use/secrets", "use.secrets")
        functions = dict(self._functions(context.section("functions")))
        return Use(
            functions=functions,
            extensions=tuple(self._extensions(value.get("extensions", []))),
            secrets=tuple(
                shapes.text(context, name, below("/use/secrets", index), "a secret's name")
                for index, name in enumerate(secrets)
            ),
            catalogs=dict(self._catalogs(context.section("catalogs"))),
        )

    def _check_sections(self, value: Mapping[str, Json]) -> None:
        """Read what is only used by name too, so that its mistakes show where it stands."""
        context = self._context
        for name in context.section("authentications"):
            resources.policy(context, context.section("authentications")[name], below("/use/authentications", name))
        for name in context.section("timeouts"):
            shapes.timeout(context, name, below("/use/timeouts", name))
        for name in context.section("retries"):
            task(context, name, {"try": [], "catch": {"retry": name}}, below("/use/retries", name))
        for name in context.section("errors"):
            task(context, name, {"raise": {"error": name}}, below("/use/errors", name))

    def _functions(self, section: Mapping[str, Json]) -> Iterator[tuple[str, Task]]:
        for name, body in section.items():
            found = task(self._context, name, body, below("/use/functions", name))
            self._context.functions[name] = found
            yield name, found

    def _extensions(self, value: Json) -> Iterator[Extension]:
        context, pointer = self._context, "/use/extensions"
        for index, item in enumerate(shapes.items(context, value, pointer, "use.extensions")):
            place = below(pointer, index)
            if not isinstance(item, dict) or len(item) != 1:
                self._issues.error(place, "an extension is an object with one member, its name")
                continue
            [(name, body)] = item.items()
            yield self._extension(name, body, below(place, name))

    def _extension(self, name: str, value: Json, pointer: str) -> Extension:
        context = self._context
        inner = shapes.members(
            context, value, pointer, "an extension", ("extend", "when", "before", "after"), ("extend",)
        )
        extend = shapes.text(context, inner.get("extend", "all"), below(pointer, "extend"), "extend")
        if extend in ("do", "fork"):
            self._issues.warn(below(pointer, "extend"), f"extend: {extend} is an extension of this runtime")
        elif extend and extend not in _EXTENDED:
            self._issues.error(below(pointer, "extend"), f"{extend!r} is no task", did_you_mean(extend, _EXTENDED))

        def tasks(key: str) -> TaskList | None:
            return task_list(context, inner[key], below(pointer, key)) if key in inner else None

        when = inner.get("when")
        return Extension(
            name=name,
            extend=extend,
            when=None if when is None else shapes.expression(context, when, below(pointer, "when"), "when"),
            before=tasks("before"),
            after=tasks("after"),
        )

    def _catalogs(self, section: Mapping[str, Json]) -> Iterator[tuple[str, Endpoint]]:
        for name, body in section.items():
            place = below("/use/catalogs", name)
            inner = shapes.members(self._context, body, place, "a catalog", ("endpoint",), ("endpoint",))
            yield (
                name,
                resources.endpoint(self._context, inner.get("endpoint", "http://missing"), below(place, "endpoint")),
            )
