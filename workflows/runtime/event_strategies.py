"""A definition's `schedule.on` as gatherings need it: the engine's strategies, with the events that were taken.

Source: DSL reference, "Schedule"; rules 28, 30 and 31 of docs/dsl.md.
"""

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from workflows import models
from workflows.dsl.expression import Expression, Template
from workflows.dsl.jsontext import Json
from workflows.dsl.model import EventStrategy
from workflows.engine import expressions, strategies
from workflows.engine.correlation import Pattern, matches
from workflows.engine.problems import ProblemError
from workflows.engine.strategies import Hearing, Wanted
from workflows.runtime.definitions import Lookup
from workflows.runtime.gatherings import Event, Heard

log = logging.getLogger("lemline.schedules")


class _Gathered(msgspec.Struct):
    """What a gathering remembers."""

    hearing: Hearing
    events: list[Event]


class OnStrategy:
    """Which events start an instance, alone or together. Has no instance to evaluate anything for."""

    def __init__(self, strategy: EventStrategy) -> None:
        """Take what a definition says. Raises ProblemError when an expression of it needs what is not there."""
        self._wanted: Wanted = strategies.wanted_of(strategy, _render)
        self._until = strategy.until if isinstance(strategy.until, Expression) else None
        self._names = _shared_names(self.patterns)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Filters that an event must match, one or the other, to be of any concern."""
        return strategies.open_patterns(self._wanted, strategies.opened(self._wanted))

    def hear(self, state: Json, event: Event) -> Heard:
        """Offer an event to a gathering. What ends one, and is no part of it, begins none."""
        gathered = _Gathered(strategies.opened(self._wanted), []) if state is None else _read(state)
        heard = strategies.hear(self._wanted, gathered.hearing, event)
        if heard.took:
            gathered.events.append(event)
        if heard.hearing is gathered.hearing or not gathered.events:
            return Heard(state, took=False)
        done = heard.done or (heard.took and self._is_enough(gathered.events))
        return Heard(_written(_Gathered(heard.hearing, gathered.events)), took=True, done=done)

    def events(self, state: Json) -> list[Event]:
        """Return the CloudEvents that the instance is started with."""
        return _read(state).events

    def bound_by(self, event: Event) -> Mapping[str, Json] | None:
        """Return the values that an event's correlation settles, where every filter settles the same."""
        if not self._names:
            return None
        found = (matches(pattern, event, {}) for pattern in self.patterns)
        bound = next((values for values in found if values is not None), None)
        return None if bound is None else {name: bound[name] for name in self._names}

    def _is_enough(self, events: Sequence[Event]) -> bool:
        if self._until is None:
            return False
        try:
            return expressions.test(self._until, list(events), _VARIABLES)
        except ProblemError as error:
            log.warning("schedule.until", extra={"error": error.problem.detail})
            return False


_VARIABLES: Mapping[str, Json] = {}


class Strategies:
    """The strategies of schedules, by the definitions that this process knows."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def __call__(self, row: models.Schedule) -> OnStrategy:
        """Return a schedule's strategy."""
        schedule = self._lookup(row.definition_id).definition.schedule
        assert schedule is not None
        assert schedule.on is not None
        return OnStrategy(schedule.on)


def _render(template: Template) -> Json:
    return expressions.render(template, None, _VARIABLES)


def _shared_names(patterns: Sequence[Pattern]) -> tuple[str, ...]:
    """Return the names that each filter correlates by and none expects a value of; none where they differ.

    What a filter expects is the same for all gatherings, and so tells none from another.
    """
    named = [
        tuple(sorted(name for name, each in pattern.correlate.items() if each.expect is msgspec.UNSET))
        for pattern in patterns
    ]
    return named[0] if named and len(set(named)) == 1 else ()


def _read(state: Json) -> _Gathered:
    return msgspec.convert(state, _Gathered)


def _written(gathered: _Gathered) -> Json:
    return msgspec.to_builtins(gathered, builtin_types=(Decimal,))
