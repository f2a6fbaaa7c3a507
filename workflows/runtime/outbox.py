"""Which sinks want what a step tells. Their rows are written by the step's own transaction; without a sink nothing is.

Couriers send them afterwards (`runtime/deliveries.py`), so no sink ever holds up an instance.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import msgspec

from workflows import models
from workflows.dsl.jsontext import Json, encode
from workflows.engine.problems import Problem
from workflows.runtime import lifecycle
from workflows.runtime.lifecycle import LifeCycle, type_of
from workflows.runtime.records import Grave
from workflows.runtime.step import Taken
from workflows.runtime.told import told_of, told_of_grave

Kind = Literal["emit", "lifecycle"]
KINDS: tuple[Kind, ...] = ("emit", "lifecycle")

LATEST_SECONDS = 1.0
"""How long a process may go on with the sinks it knows."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent that an instance tells to those outside."""

    event: Mapping[str, Json]
    """In JSON format; its id is the same however often it is made."""

    kind: Kind
    instance: str
    definition: tuple[str, str, str]
    """Namespace, name, version."""

    at: datetime
    """Database time of the transaction that writes it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one sink wants."""

    sink: int
    kinds: frozenset[str]
    namespace: str = ""
    workflow: str = ""
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def wants(self, told: Outgoing) -> bool:
        """Return whether the sink wants this event."""
        namespace, workflow, _ = told.definition
        return (
            told.kind in self.kinds
            and self.namespace in ("", namespace)
            and self.workflow in ("", workflow)
            and all(fits(told.event.get(name), texts) for name, texts in self.filter.items())
        )

    def wants_type(self, kind: str, type: str) -> bool:
        """Return whether the sink may want an event of this kind and type."""
        return kind in self.kinds and ("type" not in self.filter or fits(type, self.filter["type"]))


def fits(value: Json, texts: Iterable[str]) -> bool:
    """Return whether an attribute has one of these values; a text that ends in `*` is a beginning."""
    if value is None:
        return False
    spelled = value if isinstance(value, str) else encode(value).decode()
    return any(spelled.startswith(text[:-1]) if text.endswith("*") else spelled == text for text in texts)


def wish_of(sink: models.Sink) -> Wish:
    """Return what a row says."""
    wanted = {name: tuple(texts) for name, texts in sink.filter.items()}
    return Wish(sink.pk, frozenset(sink.kinds), sink.namespace, sink.workflow, wanted)


def read_wishes() -> list[Wish]:
    """Return what all sinks want."""
    return [wish_of(sink) for sink in models.Sink.objects.order_by("pk")]


class Outbox:
    """The sinks as this process knows them."""

    def __init__(self, find: Callable[[], Sequence[Wish]] = read_wishes) -> None:
        self.is_wanted = False
        """Whether any sink wants anything: asked with every step, so it is no more than this."""

        self._find = find
        self._wishes: Sequence[Wish] = ()
        self._life: LifeCycle
        self._looked_at = float("-inf")

    def look(self) -> None:
        """See which sinks there are, unless that was done a moment ago. Raises what the database raises: a step that
        does not know its sinks must not be written.
        """
        now = time.monotonic()
        if now - self._looked_at > LATEST_SECONDS:
            self._know(self._find())
            self._looked_at = now

    def forget(self) -> None:
        """What was just changed here counts here at once."""
        self._looked_at = float("-inf")

    def rows(self, taken: Taken, now: datetime) -> Iterator[tuple[object, ...]]:
        """Yield the values of `OUTGOING_COLUMNS` for what these steps tell, in the order in which it happened."""
        key = taken.subject.registered.key
        for kind, event in told_of(taken, self._life):
            told = Outgoing(event=event, kind=kind, instance=taken.instance_id, definition=key, at=now)
            yield from self.rows_of(told)

    def rows_of_grave(self, grave: Grave, fault: Problem) -> Iterator[tuple[object, ...]]:
        """Yield the same for an instance that was buried, which is no step."""
        if self.is_wanted:
            for event in told_of_grave(grave, fault, self._life):
                yield from self.rows_of(
                    Outgoing(
                        event=event, kind="lifecycle", instance=grave.instance_id, definition=grave.definition,
                        at=grave.at,
                    )
                )  # fmt: skip

    def rows_of(self, told: Outgoing) -> Iterator[tuple[object, ...]]:
        """Yield a row for each sink that wants an event."""
        found = [wish.sink for wish in self._wishes if wish.wants(told)]
        if found:
            event = told.event
            rest = (
                told.kind, *told.definition, told.instance, event["source"], event["id"], event["type"],
                encode(event), told.at, told.at,
            )  # fmt: skip
            yield from ((sink, *rest) for sink in found)

    def _know(self, wishes: Sequence[Wish]) -> None:
        if wishes != self._wishes or not wishes:
            self._wishes = wishes
            self.is_wanted = bool(wishes)
        if wishes:
            # What nobody wants is not made: an output need not be read for it.
            life = lifecycle.configured()
            kinds = (kind for kind in life.kinds if any(wish.wants_type("lifecycle", type_of(kind)) for wish in wishes))
            self._life = replace(life, kinds=frozenset(kinds))
