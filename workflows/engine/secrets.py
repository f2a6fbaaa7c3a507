"""Secrets are opaque marks for the engine; the worker puts the values in just before the outside call.

A mark is text, so it can be joined and interpolated, but not cut, measured or encoded. It carries the
instance's seal: text that looks like a mark and comes from an input or a service is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote

from workflows.dsl import jsontext
from workflows.dsl.expression import (
    ArrayTemplate,
    Expression,
    Interpolation,
    Literal,
    LooseText,
    ObjectTemplate,
    Template,
    UriTemplate,
    secret_paths,
)
from workflows.dsl.jsontext import Json
from workflows.engine.problems import ProblemError, problem

Path = tuple[str, ...]


def mark(seal: str, path: Path) -> str:
    """Return the mark that stands for a secret, or for a member of one."""
    return f"!secret[{seal}:{'/'.join(quote(part, safe='') for part in path)}]"


def marks(seal: str, declared: Iterable[str], paths: Iterable[Path]) -> dict[str, Json]:
    """Return what `$secrets` holds for an expression.

    Args:
        seal: The instance's seal.
        declared: The secrets that the definition names and that exist.
        paths: What the expression reads, the name of the secret first. A whole secret and a member
            of it at once make an object of marks.
    """
    tree: dict[str, Json] = {name: mark(seal, (name,)) for name in declared}
    for path in sorted(set(paths), key=len):
        if path and path[0] in tree:
            _plant(tree, path, mark(seal, path))
    return tree


def _plant(tree: dict[str, Json], path: Path, text: str) -> None:
    for part in path[:-1]:
        below = tree.get(part)
        if not isinstance(below, dict):
            below = tree[part] = {}
        tree = below
    tree.setdefault(path[-1], text)
    if not isinstance(tree[path[-1]], dict):
        tree[path[-1]] = text


def paths_read(template: Template) -> frozenset[Path]:
    """Return the static paths of the secrets that a template's expressions read."""
    match template:
        case Expression():
            return secret_paths(template)
        case Interpolation(parts=parts) | UriTemplate(parts=parts):
            return _union(secret_paths(part) for part in parts if isinstance(part, Expression))
        case LooseText(program=program):
            return secret_paths(program)
        case ObjectTemplate(members=members):
            return _union(paths_read(member) for _, member in members)
        case ArrayTemplate(items=items):
            return _union(paths_read(item) for item in items)
        case Literal():
            return frozenset()


def reveal(value: Json, seal: str, read: Callable[[str], Json]) -> Json:
    """Return the value with its marks replaced.

    A text that is one mark as a whole becomes the secret as it is; inside a longer text a secret
    that is no text is written as JSON.

    Args:
        value: Arguments of an activity.
        seal: The instance's seal; marks with another are left alone.
        read: Gives a secret by name, or raises `ProblemError`.

    Raises:
        ProblemError: A secret or a member of it does not exist (`authorization`, 403).
    """
    return _Revealer(seal, read).reveal(value)


_MARK = re.compile(r"!secret\[([^:\]]*):([^\]]*)\]")
"""A mark: seal and reference."""


class _Revealer:
    def __init__(self, seal: str, read: Callable[[str], Json]) -> None:
        self._seal = seal
        self._start = f"!secret[{seal}:"
        self._read = read

    def reveal(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._text(value) if self._start in value else value
        if isinstance(value, dict):
            return {self._key(key): self.reveal(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.reveal(item) for item in value]
        return value

    def _text(self, text: str) -> Json:
        whole = _MARK.fullmatch(text)
        if whole and whole[1] == self._seal:
            return self._secret(whole[2])
        return _MARK.sub(self._inserted, text)

    def _inserted(self, found: re.Match[str]) -> str:
        return _spelled(self._secret(found[2])) if found[1] == self._seal else found[0]

    def _key(self, key: str) -> str:
        return _spelled(self._text(key)) if self._start in key else key

    def _secret(self, reference: str) -> Json:
        name, *members = [unquote(part) for part in reference.split("/")]
        value = self._read(name)
        for member in members:
            if not isinstance(value, dict) or member not in value:
                raise ProblemError(problem("authorization", f"the secret {name!r} has no member {member!r}"))
            value = value[member]
        return value


def _union(sets: Iterable[frozenset[Path]]) -> frozenset[Path]:
    return frozenset[Path]().union(*sets)


def _spelled(value: Json) -> str:
    return value if isinstance(value, str) else jsontext.encode(value).decode()


def redact(value: Json) -> Json:
    """Return the value with the seals of its marks taken out, for people to look at."""
    if isinstance(value, str):
        return _MARK.sub(lambda found: f"[secret {unquote(found[2])}]", value) if "!secret[" in value else value
    if isinstance(value, dict):
        return {redact(key): redact(member) for key, member in value.items()}
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value
