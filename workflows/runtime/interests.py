"""How subscriptions are found without looking at them: each has the hash of what it requires, and an event is hashed in
the same way, once for each interest in its type.

Interests are few, and known to the process. One that is new in the table is seen with the subscriptions themselves, in
one statement, so none is overlooked.
"""

import hashlib
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.correlation import Interest, Pattern, interest_of, key_of
from workflows.runtime.event_rows import Event

log = logging.getLogger("lemline.events")


@dataclass(frozen=True, slots=True)
class Known:
    """An interest with its row's values."""

    digest: str
    interest: Interest
    kept: bool

    @property
    def row(self) -> tuple[object, ...]:
        """Digest, type, text, kept, indexed."""
        return self.digest, self.interest.type, msgspec.json.encode(self.interest).decode(), self.kept, False


def known_of(interest: Interest, *, kept: bool) -> Known:
    """Return an interest under its digest."""
    text = msgspec.json.encode((interest, kept))
    return Known(hashlib.blake2b(text, digest_size=16).hexdigest(), interest, kept)


def match_of(digest: str, scope: str, key: str) -> UUID:
    """Return the hash by which events and subscriptions find each other."""
    text = "\x00".join((digest, scope, key)).encode("utf-8", "replace")
    return UUID(bytes=hashlib.blake2b(text, digest_size=16).digest())


def wanted_by(pattern: Pattern, bound: Mapping[str, Json], scope: str, *, kept: bool) -> tuple[Known, UUID]:
    """Return what a filter is interested in, and the hash of what it requires."""
    interest, key = interest_of(pattern, bound)
    known = known_of(interest, kept=kept)
    return known, match_of(known.digest, scope, key)


class Interests:
    """The interests that this process knows. Shared by its threads."""

    def __init__(self) -> None:
        self._by_type: Mapping[str, Sequence[Known]] = {}
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()
        self._complained: set[str] = set()

    def learn(self, rows: Iterable[tuple[str, str, bool]]) -> None:
        """Take in digests, texts and whether events are kept for them."""
        with self._lock:
            for digest, text, kept in rows:
                self._known[digest] = Known(digest, msgspec.json.decode(text, type=Interest), bool(kept))
            by_type: dict[str, list[Known]] = defaultdict(list)
            for known in self._known.values():
                by_type[known.interest.type].append(known)
            self._by_type = by_type

    def named(self, digest: str) -> Known:
        """Return one that was learnt."""
        return self._known[digest]

    def of_types(self, types: Iterable[str]) -> list[str]:
        """Return the digests of those that may be interested in events of these types."""
        by_type = self._by_type
        return [known.digest for type in {"", *types} for known in by_type.get(type, ())]

    def matches(self, event: Event, scope: str) -> Iterator[tuple[UUID, Known]]:
        """Yield what an event is found by."""
        by_type = self._by_type
        for known in (*by_type.get(str(event["type"]), ()), *by_type.get("", ())):
            key = self.key(known, event)
            if key is not None:
                yield match_of(known.digest, scope, key), known

    def key(self, known: Known, event: Event) -> str | None:
        """Return the engine's key of an event; None when it is none for this interest."""
        try:
            return key_of(known.interest, event)
        except Exception as error:  # noqa: BLE001  (one event and one filter; said once)
            if known.digest not in self._complained:
                self._complained.add(known.digest)
                log.warning(
                    "filter.faulted",
                    extra={"interest": msgspec.json.encode(known.interest).decode(), "error": str(error)},
                )
            return None
