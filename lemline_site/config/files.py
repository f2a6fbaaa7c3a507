"""Configuration files to pairs of key and text: YAML trees and Java properties."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from lemline_site.config.values import ConfigurationError


def read_file(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the keys of a file with their texts, in its order. A key may come twice; the later one counts."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    return read_properties(text, path.name) if path.suffix == ".properties" else read_yaml(text, path.name)


def read_yaml(text: str, source: str) -> Iterator[tuple[str, str]]:
    """Read a tree; a leaf's key is its way from the root, joined by dots.

    Scalars stay the texts that were written, so that `on` and `1:30` are not turned into something else.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source} is no YAML: {error}") from error
    if root is not None:
        yield from _leaves(root, "", source)


def read_properties(text: str, source: str) -> Iterator[tuple[str, str]]:
    """Read Java properties: `key=value` or `key: value`, comments with `#` or `!`, lines continued by a backslash."""
    for line in map(str.strip, text.replace("\\\n", "").splitlines()):
        if not line or line.startswith(("#", "!")):
            continue
        cut = min((place for place in (line.find("="), line.find(":")) if place >= 0), default=-1)
        if cut < 0:
            raise ConfigurationError(f"{source}: write key=value instead of {line!r}")
        yield line[:cut].strip(), line[cut + 1 :].strip()


def _leaves(node: yaml.Node, name: str, source: str) -> Iterator[tuple[str, str]]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield from _leaves(value, f"{name}.{key.value}".lstrip("."), source)
        case yaml.SequenceNode():
            yield name, ",".join(str(item.value) for item in node.value)
        case _:
            yield name, "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)
