"""What is wanted of messages is read by one thread, for all that ask at the same time."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.runtimes import ONE, Runtime, define
from tests.waiting import wait_until
from workers.message import Item, item_of
from workers.reader import Reader
from workflows.runtime.records import UnreachableError


class Gate:
    """Records whose reads wait for the test, and are counted."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.open = threading.Event()
        self.reads: list[Sequence[str]] = []
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def steps(self, ids: Sequence[str]) -> dict[str, int]:
        self.reads.append(ids)
        assert self.open.wait(30)
        if self.trouble is not None:
            raise self.trouble
        found: dict[str, int] = self._records.steps(ids)
        return found


@pytest.fixture
def runtime(sqlite: str) -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()


@pytest.fixture
def gate(runtime: Runtime) -> Gate:
    define(ONE)
    return Gate(runtime.records)


@pytest.fixture
def reader(gate: Gate) -> Iterator[Reader]:
    reader = Reader(gate)  # type: ignore[arg-type]
    yield reader
    gate.open.set()
    reader.stop()


def rung(runtime: Runtime) -> Item:
    """Return what rings for the activity of a new instance."""
    instance = runtime.start()
    [delivery] = [each for each in runtime.bells.rung if each.instance_id == instance]
    return item_of(delivery)


def test_what_is_asked_while_a_read_is_under_way_is_read_together(runtime: Runtime, gate: Gate, reader: Reader) -> None:
    items = [rung(runtime) for _ in range(5)]
    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(reader.wanted, items[:1])
        wait_until(lambda: gate.reads)
        others = [threads.submit(reader.wanted, [item]) for item in items[1:]]
        wait_until(lambda: reader._questions.qsize() == len(others))
        gate.open.set()
        answers = [first.result(), *(other.result() for other in others)]

    assert [[item for item, _ in answer] for answer in answers] == [[item] for item in items]
    assert gate.reads == [[items[0].instance_id], sorted(item.instance_id for item in items[1:])]


def test_a_database_that_is_away_is_told_to_everybody(runtime: Runtime, gate: Gate, reader: Reader) -> None:
    gate.trouble = UnreachableError("away")
    gate.open.set()

    for _ in range(2):
        with pytest.raises(UnreachableError, match="away"):
            reader.wanted([rung(runtime)])


def test_a_row_that_nobody_can_read_is_in_the_way_of_none_but_those_who_asked_for_it(
    runtime: Runtime, gate: Gate, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = rung(runtime), rung(runtime)
    gate.open.set()
    answers = []

    def read(asked: Sequence[Sequence[Item]]) -> Any:
        if any(bad in items for items in asked):
            raise ValueError("broken")
        return [list(items) for items in asked]

    monkeypatch.setattr(reader, "_read", read)
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(reader.wanted, [item]) for item in (good, bad)]
        answers = [each.exception() for each in asked]

    assert [type(answer) for answer in answers] == [type(None), ValueError]


def test_after_its_end_whoever_asks_is_told_so(gate: Gate, runtime: Runtime) -> None:
    reader = Reader(gate)  # type: ignore[arg-type]
    gate.open.set()
    item = rung(runtime)
    reader.stop()

    with pytest.raises(UnreachableError, match="ends"):
        reader.wanted([item])
