"""What the ended items of a parallel `for` gave: grows by one with each of them, and is handed on with every step."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from workflows.engine.data import Data


class Outputs:
    """Outputs by index of the item. Immutable: `plus` returns another one.

    One dictionary serves all that grew out of each other; each shows as much of it as there was when it was made. So
    adding copies nothing, unless what it is added to has been added to before.
    """

    __slots__ = ("_count", "_shared")

    def __init__(self, outputs: Mapping[int, Data] | None = None) -> None:
        self._shared = dict(outputs or {})
        self._count = len(self._shared)

    def plus(self, index: int, output: Data) -> Outputs:
        """Return these and the output of another item."""
        shared = self._shared
        if len(shared) != self._count or index in shared:
            shared = self.by_index()
        shared[index] = output
        after = Outputs.__new__(Outputs)
        after._shared, after._count = shared, len(shared)
        return after

    def by_index(self) -> dict[int, Data]:
        """Return them as a dictionary of its own, in the order in which the items ended."""
        return dict(islice(self._shared.items(), self._count))

    def in_order(self) -> list[Data]:
        """Return them in the order of the items."""
        return [output for _, output in sorted(islice(self._shared.items(), self._count), key=_index)]

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outputs) and self.by_index() == other.by_index()

    __hash__ = None  # type: ignore[assignment]  # equal ones may lie in different dictionaries

    def __repr__(self) -> str:
        return f"Outputs({self.by_index()!r})"


def _index(item: tuple[int, Data]) -> int:
    return item[0]
