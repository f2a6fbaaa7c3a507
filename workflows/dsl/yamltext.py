"""YAML 1.2 (core schema) and JSON to a value, with the place of every value in it.

Built on the parser's events, so that a document which would explode is stopped before it does. What YAML
1.1 makes of texts is not done: `on` and `no` are texts, `12:30` and dates too, `010` is ten.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from workflows.dsl.issues import DefinitionError, DefinitionIssue, Mark
from workflows.dsl.jsontext import Json
from workflows.dsl.position import below

DEPTH_LIMIT = 200
SIZE_LIMIT = 200_000
"""Values in a document, those that aliases repeat counted each time."""

_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass
class Source:
    """A document that was read."""

    value: Json
    marks: dict[str, Mark]
    """Pointer to the place of its value; a member's is that of its key."""


@dataclass
class _Open:
    """A mapping or sequence that is being read."""

    value: Any
    pointer: str
    anchor: str | None
    size: int = 1
    key: str | None = None
    seen: dict[str, Mark] = field(default_factory=dict)
    """Keys of a mapping, and where they stood first."""

    merged: bool = False


def read(text: bytes | str, limit_bytes: int) -> Source:
    """Return the value of a document.

    Raises:
        DefinitionError: It is too large, not UTF-8, not YAML, or holds what JSON cannot.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > limit_bytes:
        _fail(1, 1, f"the definition has {len(data)} bytes; at most {limit_bytes} are read")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        _fail(line, 1, f"byte {error.start} is not UTF-8", "save the file as UTF-8")
    return _Reader(decoded).read()


def load(text: str) -> Json:
    """Return the value of a document that was read before. DefinitionError as for `read`."""
    return read(text, len(text.encode())).value


def _fail(line: int, column: int, message: str, hint: str = "", pointer: str = "") -> Any:
    raise DefinitionError([DefinitionIssue(pointer=pointer, line=line, column=column, message=message, hint=hint)])


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Open] = []
        self._marks: dict[str, Mark] = {}
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._errors: list[DefinitionIssue] = []
        self._value: Json = None
        self._documents = 0
        self._size = 0

    def read(self) -> Source:
        try:
            for event in yaml.parse(self._text, Loader=yaml.CSafeLoader):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            _fail(line, column, f"this is not YAML: {error.problem or error.context}", _hint(self._text, line))
        except yaml.YAMLError as error:
            _fail(1, 1, f"this is not YAML: {error}")
        except RecursionError:
            _fail(1, 1, f"values are nested more than {DEPTH_LIMIT} deep")
        if self._errors:
            raise DefinitionError(self._errors)
        return Source(self._value, self._marks)

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, "there is a second document", "one definition to a file: remove the line ---")
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case _:
                pass

    def _stop(self, event: Any, message: str, hint: str = "") -> None:
        _fail(event.start_mark.line + 1, event.start_mark.column + 1, message, hint, self._pointer())

    def _note(self, event: Any, message: str, hint: str = "") -> None:
        mark = event.start_mark
        self._errors.append(
            DefinitionIssue(
                pointer=self._pointer(), line=mark.line + 1, column=mark.column + 1, message=message, hint=hint
            )
        )

    def _pointer(self) -> str:
        """Return where the next value goes."""
        if not self._open:
            return ""
        top = self._open[-1]
        return below(top.pointer, len(top.value) if isinstance(top.value, list) else top.key or "")

    def _is_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _scalar(self, event: Any) -> None:
        if event.tag and not event.tag.startswith(_CORE):
            self._note(event, f"the tag {event.tag} means nothing here", "remove it")
        if self._is_key():
            self._key(event)
            return
        value = event.value
        if event.tag == f"{_CORE}str":
            pass
        elif (event.implicit[0] and not event.style) or event.tag:
            value = self._resolved(event)
        self._mark(event)
        self._put(value, 1, event.anchor)

    def _key(self, event: Any) -> None:
        top = self._open[-1]
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        key = event.value
        if key == "<<" and not event.style:
            self._note(event, "merge keys (<<) are not part of YAML 1.2", "write the members out")
        first = top.seen.get(key)
        if first is not None:
            top.key = key
            self._note(event, f"the key {key!r} stands here twice, first in line {first[0]}", "remove or rename one")
        top.seen.setdefault(key, mark)
        top.key = key
        self._marks[below(top.pointer, key)] = mark

    def _resolved(self, event: Any) -> Json:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text) if len(text) < 4000 else self._note(event, "the number has too many digits")
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return Decimal(text)
        if _NOT_JSON.fullmatch(text):
            self._note(event, f"{text} is no JSON number")
        return text

    def _begin(self, event: Any) -> None:
        if self._is_key():
            self._stop(event, "a key is a text here, not an object or array", 'quote expressions: "${ {a: .b} }"')
        if event.tag and not event.tag.startswith(_CORE):
            self._note(event, f"the tag {event.tag} means nothing here", "remove it")
        if len(self._open) >= DEPTH_LIMIT:
            self._stop(event, f"values are nested more than {DEPTH_LIMIT} deep")
        self._mark(event)
        value: Json = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, self._pointer(), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        self._put(done.value, done.size, done.anchor)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._stop(event, f"the alias *{event.anchor} refers to nothing before it")
        if self._is_key():
            self._stop(event, "an alias cannot be a key")
        value, size = self._anchors[event.anchor]
        self._mark(event)
        self._put(value, size, None)
        if self._size > SIZE_LIMIT:
            self._stop(event, f"with its aliases the document has more than {SIZE_LIMIT} values")

    def _mark(self, event: Any) -> None:
        self._marks.setdefault(self._pointer(), (event.start_mark.line + 1, event.start_mark.column + 1))

    def _put(self, value: Json, size: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = (value, size)
        self._size += size
        if not self._open:
            self._value = value
            return
        top = self._open[-1]
        top.size += size
        if isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value.setdefault(top.key, value)
            top.key = None


def _hint(text: str, line: int) -> str:
    lines = text.splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    if "${" in shown:
        return "put quotes around a text that holds an expression"
    if "\t" in shown:
        return "indent with spaces, not with tabs"
    return ""
