"""What happened between the rows of the history, kept beside them: tasks that began, tries that tried again.

A row is written when a task ends. That it began stands with a row of the step in which it did, as text: so no step
has a row more, but one that ends nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from workflows.dsl.jsontext import Json, encode
from workflows.engine import Mark, Step


class StoredMark(msgspec.Struct, frozen=True, array_like=True):
    """A mark as it stands beside a row."""

    is_after: bool
    """Whether it happened after what the row tells, and not before it."""

    what: str
    position: str
    attempt: int
    iteration: int | None
    keys: Mapping[str, Json] | None = None


_decoder = msgspec.json.Decoder(list[StoredMark])


def by_row(step: Step) -> Sequence[str | None]:
    """Return the marks of a step by its records, None for a record without; one text alone when it has no records."""
    count = len(step.records)
    if count == 1 and len(step.marks) == 1 and step.marks[0].keys is None and step.marks[0].event is None:
        # One task ended and the next began: what most steps are.
        [mark] = step.marks
        frame = mark.frame
        return (_alone(mark.place == 1, mark.what, frame.position, frame.attempt, frame.iteration),)
    texts: list[list[str]] = [[] for _ in range(count or 1)]
    for mark in step.marks:
        if mark.what != "emitted":
            row = mark.place if mark.place < count else max(0, count - 1)
            texts[row].append(_spelled(mark, mark.place > row))
    return [f"[{','.join(row)}]" if row else None for row in texts]


def read(text: str | None) -> list[StoredMark]:
    """Return the marks beside a row, in their order."""
    return [] if text is None else _decoder.decode(text)


def numbered(step: Step) -> Iterator[tuple[int, Mark]]:
    """Yield the marks of a step, each with its number among those at its place that are kept."""
    place, number = -1, 0
    for mark in step.marks:
        number = 0 if mark.place != place else number
        place = mark.place
        number += mark.what != "emitted"
        yield number, mark


def _spelled(mark: Mark, is_after: bool) -> str:
    frame = mark.frame
    if mark.keys is None:
        return _plain(is_after, mark.what, frame.position, frame.attempt, frame.iteration)
    stored = StoredMark(is_after, mark.what, frame.position, frame.attempt, frame.iteration, mark.keys)
    return encode(stored).decode()


@lru_cache(4096)
def _alone(is_after: bool, what: str, position: str, attempt: int, iteration: int | None) -> str:
    return f"[{_plain(is_after, what, position, attempt, iteration)}]"


@lru_cache(4096)
def _plain(is_after: bool, what: str, position: str, attempt: int, iteration: int | None) -> str:
    """The same tasks begin in instance after instance."""
    return encode([is_after, what, position, attempt, iteration]).decode()
