"""YAML 1.2 (core schema) and JSON to a value, with the place of every value in it.

Built on the parser's events, so that a document which would explode is stopped before it does. What YAML
1.1 makes of texts is not done: `on` and `no` are texts, `12:30` and dates too, `010` is ten.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from workflows.dsl.issues import MOST, DefinitionError, DefinitionIssue, Mark, stopped
from workflows.dsl.jsontext import Json
from workflows.dsl.position import below, unescaped

DEPTH_LIMIT = 200
SIZE_LIMIT = 200_000
"""Values of a definition, and of what the aliases of any document repeat."""

PATH_LIMIT = 10_000
"""Characters of the names above a value: every pointer spells them, so that length times number must stay small."""

DIGITS_LIMIT = 4000

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
_TAGS: dict[str, tuple[type, ...]] = {
    f"{_CORE}str": (str,),
    f"{_CORE}int": (int,),
    f"{_CORE}float": (Decimal, int),
    f"{_CORE}bool": (bool,),
    f"{_CORE}null": (type(None),),
    f"{_CORE}map": (dict,),
    f"{_CORE}seq": (list,),
}
"""Tags that say what a value is anyway."""

_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_UNPRINTABLE = re.compile("[\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")
"""Not allowed in YAML, or a line break."""

Places = dict[str | int, Mark]
"""Key or index of a member to its place; a key's is its own, not that of its value."""


@dataclass
class Source:
    """A document that was read."""

    value: Json
    places: dict[int, Places]
    """Identity of an object or array to the places of its members."""

    start: Mark = (1, 1)

    def place(self, pointer: str) -> Mark:
        """Return where a value stands, or the nearest that it is in.

        Positions of tasks say `for/do`, documents say `do` beside `for`.
        """
        value, mark = self.value, self.start
        parts = [unescaped(part) for part in pointer.split("/")[1:]]
        for index, part in enumerate(parts):
            if part == "for" and parts[index + 1 : index + 2] == ["do"] and isinstance(value, dict) and "do" in value:
                continue
            key: str | int = int(part) if isinstance(value, list) and part.isdecimal() else part
            known = self.places.get(id(value), {})
            if key not in known:
                break
            mark, value = known[key], value[key]
        return mark


@dataclass
class _Open:
    """A mapping or sequence that is being read."""

    value: Any
    anchor: str | None
    path: int
    """Characters of its pointer."""

    size: int = 1
    key: str | None = None
    places: Places = field(default_factory=dict)

    @property
    def part(self) -> str | int:
        """Key or index of the member that is read now."""
        return len(self.value) if isinstance(self.value, list) else self.key or ""


def read(text: bytes | str, limit_bytes: int | None, limit_values: int | None = None) -> Source:
    """Return the value of a document.

    Args:
        text: YAML or JSON.
        limit_bytes: Its size at most.
        limit_values: Number of its values at most, those that aliases repeat included.

    Raises:
        DefinitionError: It is too large, not UTF-8, not YAML, or holds what JSON cannot.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        line = error.object[: error.start].count("\n") + 1
        _fail(line, 1, f"character {error.start} is half of a surrogate pair", "save the file as UTF-8")
    if limit_bytes is not None and len(data) > limit_bytes:
        _fail(1, 1, f"the definition has {len(data)} bytes; at most {limit_bytes} are read")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        _fail(line, 1, f"byte {error.start} is not UTF-8", "save the file as UTF-8")
    return _Reader(_as_yaml(decoded), limit_values).read()


def load(text: str) -> Json:
    """Return the value of a document that was read before. DefinitionError as for `read`."""
    return read(text, None).value


def _as_yaml(text: str) -> str:
    """Return a JSON text in YAML's spelling of what the two write differently inside of texts."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    text = _SURROGATES.sub(lambda found: found[1] + bytes.fromhex(found[2] + found[3]).decode("utf-16-be"), text)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _fail(line: int, column: int, message: str, hint: str = "", pointer: str = "") -> Any:
    raise DefinitionError([DefinitionIssue(pointer=pointer, line=line, column=column, message=message, hint=hint)])


class _Reader:
    def __init__(self, text: str, limit_values: int | None) -> None:
        self._text = text
        self._limit_values = limit_values
        self._open: list[_Open] = []
        self._places: dict[int, Places] = {}
        self._start: Mark = (1, 1)
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._errors: list[DefinitionIssue] = []
        self._value: Json = None
        self._documents = 0
        self._size = 0
        self._repeated = 0

    def read(self) -> Source:
        try:
            for event in yaml.parse(self._text, Loader=yaml.CSafeLoader):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            _fail(line, column, f"this is not YAML: {error.problem or error.context}", _hint(self._text, line))
        except yaml.YAMLError as error:
            _fail(*self._unreadable(error), f"this is not YAML: {str(error).partition(chr(10))[0]}")
        except RecursionError:
            _fail(1, 1, f"values are nested more than {DEPTH_LIMIT} deep")
        if self._errors:
            raise DefinitionError(self._errors)
        return Source(self._value, self._places, self._start)

    def _unreadable(self, error: yaml.YAMLError) -> Mark:
        """Return where a character stands that YAML does not take."""
        before = self._text[: error.position] if isinstance(error, yaml.reader.ReaderError) else ""
        return before.count("\n") + 1, len(before) - before.rfind("\n")

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
        _fail(*_mark(event), message, hint, self._pointer())

    def _note(self, event: Any, message: str, hint: str = "") -> None:
        line, column = _mark(event)
        self._errors.append(
            DefinitionIssue(pointer=self._pointer(), line=line, column=column, message=message, hint=hint)
        )
        if len(self._errors) >= MOST:
            raise DefinitionError([*self._errors, stopped(self._errors)])

    def _pointer(self) -> str:
        """Return where the next value goes."""
        pointer = ""
        for each in self._open:
            if isinstance(each.value, list) or each.key is not None:
                pointer = below(pointer, each.part)
        return pointer[:PATH_LIMIT]

    def _is_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _scalar(self, event: Any) -> None:
        if self._is_key():
            self._key(event)
            return
        value = event.value
        if event.tag != f"{_CORE}str" and ((event.implicit[0] and not event.style) or event.tag):
            value = self._resolved(event)
        self._check_tag(event, value)
        self._mark(event)
        self._put(value, 1, event.anchor)

    def _check_tag(self, event: Any, value: Json) -> None:
        if not event.tag:
            return
        expected = _TAGS.get(event.tag)
        if expected is None:
            self._note(event, f"the tag {event.tag[:80].replace(_CORE, '!!')} means nothing here", "remove it")
        elif type(value) not in expected:
            self._note(event, f"this is not what the tag {event.tag.replace(_CORE, '!!')} says", "remove it")

    def _key(self, event: Any) -> None:
        top, key = self._open[-1], event.value
        if len(key) > PATH_LIMIT:
            self._stop(event, f"a key has at most {PATH_LIMIT} characters")
        top.key = key
        self._check_tag(event, key)
        if key == "<<" and not event.style:
            self._note(event, "merge keys (<<) are not part of YAML 1.2", "write the members out")
        first = top.places.setdefault(key, _mark(event))
        if key in top.value:
            shown = key if len(key) <= 80 else key[:77] + "..."
            self._note(event, f"the key {shown!r} stands here twice, first in line {first[0]}", "remove or rename one")

    def _resolved(self, event: Any) -> Json:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text) if len(text) < DIGITS_LIMIT else self._note(event, "the number has too many digits")
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return self._decimal(event)
        if _NOT_JSON.fullmatch(text):
            self._note(event, f"{text} is no JSON number")
        return text

    def _decimal(self, event: Any) -> Json:
        try:
            return Decimal(event.value)
        except InvalidOperation:
            return self._note(event, f"the number {event.value[:40]} is out of range")

    def _begin(self, event: Any) -> None:
        if self._is_key():
            self._stop(event, "a key is a text here, not an object or array", 'quote expressions: "${ {a: .b} }"')
        if len(self._open) >= DEPTH_LIMIT:
            self._stop(event, f"values are nested more than {DEPTH_LIMIT} deep")
        value: Json = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._check_tag(event, value)
        self._mark(event)
        path = self._open[-1].path + len(str(self._open[-1].part)) + 1 if self._open else 0
        if path > PATH_LIMIT:
            self._stop(event, f"the names above this value have more than {PATH_LIMIT} characters")
        self._open.append(_Open(value, event.anchor, path))

    def _end(self) -> None:
        done = self._open.pop()
        self._places[id(done.value)] = done.places
        self._put(done.value, done.size, done.anchor)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._stop(event, f"the alias *{event.anchor} refers to nothing before it")
        if self._is_key():
            self._stop(event, "an alias cannot be a key")
        value, size = self._anchors[event.anchor]
        self._mark(event)
        self._put(value, size, None)
        self._repeated += size
        if self._repeated > SIZE_LIMIT:
            self._stop(event, f"aliases repeat more than {SIZE_LIMIT} values")

    def _mark(self, event: Any) -> None:
        if self._limit_values is not None and self._size > self._limit_values:
            self._stop(event, f"the document has more than {self._limit_values} values")
        if not self._open:
            self._start = _mark(event)
        elif isinstance(self._open[-1].value, list):
            self._open[-1].places[len(self._open[-1].value)] = _mark(event)

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


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _hint(text: str, line: int) -> str:
    lines = text.split("\n")
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    if "${" in shown:
        return "put quotes around a text that holds an expression"
    if "\t" in shown:
        return "indent with spaces, not with tabs"
    return ""
