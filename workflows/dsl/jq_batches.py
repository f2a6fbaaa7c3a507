"""Many jq programs compiled as one: a compilation takes a millisecond, whatever the size of what is compiled."""

import re
from collections.abc import Iterable, Iterator

import jq

from workflows.dsl.jq_programs import wrapped

_VARIABLE = re.compile(r"\$\s*([A-Za-z_]\w*)", re.ASCII)
_OWN = frozenset({"ENV", "__loc__", "__prog_args"})
"""Variables that jq or the wrapper has."""

_COUNT, _LENGTH = 100, 4000
"""Programs, and characters of them, that are compiled at once."""


def broken(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the programs that do not compile, and jq's messages. A variable may have any name."""
    for batch in _batches(texts):
        yield from _broken(batch)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for text in texts:
        if batch and (len(batch) >= _COUNT or length + len(text) > _LENGTH):
            yield batch
            batch, length = [], 0
        batch.append(text)
        length += len(text)
    if batch:
        yield batch


def _broken(batch: list[str]) -> Iterator[tuple[str, str]]:
    message = _message(batch)
    if message and len(batch) == 1:
        yield batch[0], message
    elif message:
        half = len(batch) // 2
        yield from _broken(batch[:half])
        yield from _broken(batch[half:])


def _message(batch: list[str]) -> str:
    names = {name for text in batch for name in _VARIABLE.findall(text)} - _OWN
    try:
        # Each for itself first: together, one could end in the brackets of another.
        for text in batch:
            wrapped(text, ())
        jq.compile(wrapped(",".join(f"(\n{text}\n\n)" for text in batch), sorted(names)))
    except ValueError as error:
        return str(error) or "it does not compile"
    return ""
