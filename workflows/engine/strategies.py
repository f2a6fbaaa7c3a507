"""Which events it takes: one, any of several, all of them, and until when. Shared by `listen` and `schedule.on`.

A `Wanted` says what is wanted, a `Hearing` how far that is; both are JSON. `until` as a condition is not decided here:
it is asked about what the listener has made of its events.

Source: DSL reference, "Event Consumption Strategy"; rules 28 and 30 of docs/dsl.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from workflows.dsl.jsontext import Json
from workflows.dsl.model import EventStrategy
from workflows.engine.conditions import Render, pattern_of, settled
from workflows.engine.correlation import Complain, Event, Pattern, matches
from workflows.engine.expressions import Variables

_NOTHING: Variables = {}


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A strategy as it stood when it was opened."""

    mode: str
    """`one`, `any` or `all`."""

    patterns: tuple[Pattern, ...]
    """Its filters; `any: []` is one that wants every event."""

    goes_on: bool = False
    """Whether it takes more than what its mode asks for: `any` with `until`."""

    until: Wanted | None = None
    """The events that end it."""


class Hearing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a strategy is."""

    bound: Mapping[str, Json] = {}
    """Values of correlations that are settled, by name."""

    met: tuple[int, ...] = ()
    """Filters of `all` that have their event, in the order of arrival."""

    ending: tuple[int, ...] = ()
    """The same for the events of `until`."""


class Heard(msgspec.Struct, frozen=True):
    """What a strategy makes of an event."""

    hearing: Hearing
    """How far it is after it; the very same object when the event concerns it in no way."""

    took: bool = False
    """Whether it is one of the events that were wanted. One that counts for `until` is not."""

    done: bool = False
    """Whether nothing more is wanted."""


class Match(msgspec.Struct, frozen=True):
    """A filter that an event matches."""

    index: int
    bound: Mapping[str, Json]


def wanted_of(strategy: EventStrategy, render: Render) -> Wanted:
    """Return a definition's strategy with its filters as patterns. Raises ProblemError when an expression fails."""
    patterns = tuple(pattern_of(wanted, render) for wanted in strategy.filters)
    if strategy.mode == "any" and not patterns:
        patterns = (Pattern(),)
    until = strategy.until
    ending = wanted_of(until, render) if isinstance(until, EventStrategy) else None
    return Wanted(strategy.mode, patterns, until is not None, ending)


def opened(wanted: Wanted) -> Hearing:
    """Return how far a strategy is at its beginning."""
    return Hearing(settled((*wanted.patterns, *(wanted.until.patterns if wanted.until else ()))))


def is_met(wanted: Wanted, met: tuple[int, ...]) -> bool:
    """Return whether a strategy has what its mode asks for."""
    return len(met) == len(wanted.patterns) if wanted.mode == "all" else bool(met)


def hear(
    wanted: Wanted,
    hearing: Hearing,
    event: Event,
    variables: Variables = _NOTHING,
    *,
    is_kept: bool = False,
    complain: Complain | None = None,
) -> Heard:
    """Offer an event to a strategy. One that counts for `until` is not taken as well.

    Args:
        wanted: The strategy.
        hearing: How far it is.
        event: A CloudEvent in JSON format.
        variables: What expressions of filters see besides.
        is_kept: Whether it came before the listener: then only filters that correlate want it.
        complain: Is told why a filter failed.
    """

    def find(strategy: Wanted, met: tuple[int, ...]) -> Match | None:
        for index, pattern in enumerate(strategy.patterns):
            if (strategy.mode == "all" and index in met) or (is_kept and not pattern.correlate):
                continue
            bound = matches(pattern, event, hearing.bound, variables, complain)
            if bound is not None:
                return Match(index, bound)
        return None

    if wanted.until is not None and (ending := find(wanted.until, hearing.ending)) is not None:
        met = (*hearing.ending, ending.index)
        return Heard(Hearing(ending.bound, hearing.met, met), done=is_met(wanted.until, met))
    found = find(wanted, hearing.met)
    if found is None:
        return Heard(hearing)
    met = (*hearing.met, found.index) if wanted.mode == "all" else (found.index,)
    done = not wanted.goes_on and is_met(wanted, met)
    return Heard(Hearing(found.bound, met, hearing.ending), took=True, done=done)


def open_patterns(wanted: Wanted, hearing: Hearing) -> tuple[Pattern, ...]:
    """Return the filters that still want something, those of `until` among them."""
    ending = () if wanted.until is None else _unmet(wanted.until, hearing.ending)
    return (*_unmet(wanted, hearing.met), *ending)


def _unmet(wanted: Wanted, met: tuple[int, ...]) -> tuple[Pattern, ...]:
    if wanted.mode != "all":
        return wanted.patterns
    return tuple(pattern for index, pattern in enumerate(wanted.patterns) if index not in met)
