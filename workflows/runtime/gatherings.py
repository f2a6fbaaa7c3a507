"""Events that come one by one for starts that need several of them, or that each start something of their own.

An event goes to the oldest gathering that takes it; when none does, and it is wanted at all, it begins one. Gatherings
whose events belong together by the same names are found by the hash of their values, so that a hundred thousand open
ones are not looked through.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from workflows import models
from workflows.dsl.jsontext import Json, decode, encode

Event = Mapping[str, Json]


class Heard(msgspec.Struct, frozen=True):
    """What a strategy makes of an event."""

    state: Json
    """Of the gathering, after it."""

    took: bool
    """Whether the event was wanted by it."""

    done: bool = False
    """Whether nothing more is needed."""


class Strategy(Protocol):
    """A definition's `schedule.on`, as gatherings need it."""

    def hear(self, state: Json, event: Event) -> Heard:
        """Offer an event to a gathering; its state is None for one that has not begun."""
        ...

    def events(self, state: Json) -> list[Event]:
        """Return the CloudEvents that are the input of the start, in the order of arrival."""
        ...

    def bound_by(self, event: Event) -> Mapping[str, Json] | None:
        """Return the values that name the one gathering which could take an event; None where it could be any."""
        ...


@dataclass
class _Open:
    """A gathering in hand."""

    key: str
    state: Json
    row: models.Gathering | None = None
    is_changed: bool = False
    is_done: bool = False


@dataclass
class Gatherings:
    """The gatherings of one schedule, whose row the caller has locked, for a batch of events."""

    schedule: models.Schedule
    strategy: Strategy
    _open: dict[str, list[_Open]] = field(default_factory=dict)

    def load(self, events: Iterable[Event]) -> None:
        """Read those that these events could go to."""
        keys = {self._key(event) for event in events}
        rows = models.Gathering.objects.filter(schedule=self.schedule, key__in=keys).order_by("pk")
        for row in rows:
            self._open.setdefault(row.key, []).append(_Open(row.key, decode(bytes(row.state)), row))

    def hear(self, event: Event) -> tuple[bool, list[Event] | None]:
        """Return whether an event is taken, and the events of the start that it completes."""
        key = self._key(event)
        begun = self._open.setdefault(key, [])
        for gathering in (*begun, _Open(key, None)):
            if gathering.is_done:
                continue
            heard = self.strategy.hear(gathering.state, event)
            if heard.took:
                if gathering.state is None:
                    begun.append(gathering)
                gathering.state, gathering.is_changed, gathering.is_done = heard.state, True, heard.done
                return True, self.strategy.events(heard.state) if heard.done else None
        return False, None

    def store(self, now: datetime) -> None:
        """Write what has changed: those that are complete go."""
        changed = [each for each in self._all() if each.is_changed]
        gone = [each.row.pk for each in changed if each.is_done and each.row is not None]
        if gone:
            models.Gathering.objects.filter(pk__in=gone).delete()
        for each in changed:
            if each.is_done:
                continue
            if each.row is None:
                self._insert(each, now)
            else:
                models.Gathering.objects.filter(pk=each.row.pk).update(state=encode(each.state), changed_at=now)

    def _insert(self, gathering: _Open, now: datetime) -> None:
        models.Gathering.objects.create(
            schedule=self.schedule, key=gathering.key, state=encode(gathering.state), created_at=now, changed_at=now
        )

    def _all(self) -> Sequence[_Open]:
        return [each for group in self._open.values() for each in group]

    def _key(self, event: Event) -> str:
        bound = self.strategy.bound_by(event)
        if bound is None:
            return ""
        return hashlib.sha256(encode(dict(sorted(bound.items())))).hexdigest()
