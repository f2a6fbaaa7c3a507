"""Parsed definitions, kept by row: a definition's text never changes, so neither does what it parses to."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from workflows import dsl, models


@dataclass(frozen=True, slots=True)
class Registered:
    """A definition as steps need it."""

    id: int
    key: tuple[str, str, str]
    """Namespace, name, version."""

    definition: dsl.Definition


class Definitions:
    """The most recently used definitions of this process."""

    def __init__(self, size: int = 1000, seconds: float = math.inf) -> None:
        """Remember so many, each for so long at most; what no row holds for ever."""
        self._size = size
        self._seconds = seconds
        self._known: OrderedDict[int, tuple[float, Registered]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, identifier: int) -> Registered:
        """Return the definition of a row, reading and parsing it at its first use."""
        with self._lock:
            until, known = self._known.get(identifier, (0.0, None))
            if known is not None and time.monotonic() < until:
                self._known.move_to_end(identifier)
                return known
        return self._keep(_read(identifier), self._seconds)

    def know(self, identifier: int, definition: dsl.Definition) -> None:
        """Take in a definition that no row holds."""
        document = definition.document
        self._keep(Registered(identifier, (document.namespace, document.name, document.version), definition), math.inf)

    def _keep(self, registered: Registered, seconds: float) -> Registered:
        with self._lock:
            self._known[registered.id] = time.monotonic() + seconds, registered
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return registered


Lookup = Callable[[int], Registered]


def _read(identifier: int) -> Registered:
    row = models.Definition.objects.only("namespace", "name", "version", "text").get(pk=identifier)
    # Registered functions may differ from process to process; whether one is there shows when it is called.
    return Registered(
        identifier, (row.namespace, row.name, row.version), dsl.parse(row.text, functions=None, limit_bytes=None)
    )
