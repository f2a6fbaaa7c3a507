"""The life cycle as a stream, told from the history's rows: a reader says where it stands, and goes on from there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.runtime import marks
from workflows.runtime.audit import Actor
from workflows.runtime.errors import InvalidRequestError, NotFoundError
from workflows.runtime.horizon import Horizon
from workflows.runtime.lifecycle import (
    OPTIONAL,
    REQUIRED,
    TABLES,
    About,
    LifeCycle,
    Moment,
    kept,
    of_mark,
    of_phase,
    of_run,
)

ROWS = 500
"""Rows read at once."""

_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})")
_COLUMNS = (
    "pk", "instance", "step", "ordinal", "is_phase", "position", "kind", "status", "attempt", "iteration", "ended_at",
    "output", "problem", "marks",
)  # fmt: skip


class Place(NamedTuple):
    """How far a reader has come."""

    row: int
    moments: int
    """Moments of this row that are behind it; all rows before it are."""

    def __str__(self) -> str:
        return f"{self.row}.{self.moments}"


class Sent(NamedTuple):
    """An event of the stream."""

    place: Place
    """Where a reader stands after it."""

    event: dict[str, Json]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which events a reader wants; None means all."""

    instance: UUID | None = None
    workflow: tuple[str, str] | None = None
    """Namespace and name."""

    namespaces: frozenset[str] | None = None
    kinds: frozenset[str] = REQUIRED
    """Of `lifecycle.TABLES`."""

    def instances(self) -> Q:
        """Return the condition on instances."""
        condition = Q()
        if self.workflow is not None:
            condition &= Q(namespace=self.workflow[0], workflow=self.workflow[1])
        if self.namespaces is not None:
            condition &= Q(namespace__in=self.namespaces)
        return condition


def place_of(text: str) -> Place:
    """Return the place that a reader was told; InvalidRequestError for anything else."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise InvalidRequestError(
            f"{text[:40]!r} is no place in this stream: send the last `id` that was received, or leave it out.",
            errors=({"parameter": "Last-Event-ID", "message": "<row>.<number>, as the stream gave it"},),
        )
    return Place(int(match[1]), int(match[2]))


def kinds_of(types: Sequence[str], told: frozenset[str]) -> frozenset[str]:
    """Return the kinds that these types name, in full or without what all have; all that are told when none is.

    Raises:
        InvalidRequestError: There is no such type, or it is not told here.
    """
    found = {text.removeprefix("io.serverlessworkflow.").removesuffix(".v1"): text for text in types}
    mistakes = [(text, _mistake(kind)) for kind, text in found.items() if kind not in told]
    if mistakes:
        raise InvalidRequestError(
            "; ".join(f"{text}: {message}" for text, message in mistakes),
            errors=tuple({"parameter": "type", "message": f"{text}: {message}"} for text, message in mistakes),
        )
    return frozenset(found) or told


def _mistake(kind: str) -> str:
    if kind in OPTIONAL:
        return "is not told here; set lemline.events.lifecycle.status-changed"
    return f"is no type of the life cycle; there are {', '.join(TABLES)}"


def must_exist(instance: UUID, actor: Actor) -> None:
    """Raise NotFoundError for an instance that is not there, or not for them."""
    namespace = models.Instance.objects.filter(pk=instance).values_list("namespace", flat=True).first()
    if namespace is None:
        raise NotFoundError(f"the instance {instance} does not exist")
    actor.must_see(namespace, f"the instance {instance}")


class Feed:
    """One reader's way through the history."""

    def __init__(self, wanted: Wanted, life: LifeCycle, place: Place | None) -> None:
        """Begin.

        Args:
            wanted: What it wants.
            life: How it is told.
            place: Where it stood before; None for the begin of the one instance, or else for now.
        """
        self._wanted = wanted
        self._life = life
        self._horizon = Horizon()
        self.place = place or self._first()

    def _first(self) -> Place:
        if self._wanted.instance is not None:
            return Place(0, 0)
        newest = models.History.objects.order_by("-pk").values_list("pk", flat=True).first()
        return Place((newest or 0) + 1, 0)

    def read(self) -> Iterator[Sent]:
        """Yield what has happened since, as far as that is settled; whoever stops midway goes on at the last one's
        place.
        """
        while True:
            bound = self._bound()
            rows = self._rows(bound)
            told = self._instances(rows)
            for row in rows:
                about = told.get(row.instance)
                if about is not None:
                    yield from self._of_row(row, about)
                self.place = Place(row.pk + 1, 0)
            if len(rows) < ROWS:
                if bound is not None and bound >= self.place.row:
                    self.place = Place(bound + 1, 0)
                return

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing that only waits for other transactions to end."""
        return self._horizon.is_settled

    def _bound(self) -> int | None:
        """An instance's own rows become visible in their order: its lock sees to that."""
        return None if self._wanted.instance is not None else self._horizon.look()

    def _rows(self, bound: int | None) -> Sequence[models.History]:
        rows = models.History.objects.filter(pk__gte=self.place.row)
        if self._wanted.instance is not None:
            rows = rows.filter(instance=self._wanted.instance)
        if bound is not None:
            rows = rows.filter(pk__lte=bound)
        return list(rows.order_by("pk").only(*_COLUMNS)[:ROWS])

    def _instances(self, rows: Sequence[models.History]) -> Mapping[UUID, About]:
        found = models.Instance.objects.filter(self._wanted.instances(), pk__in={row.instance for row in rows})
        return {
            pk: About(str(pk), namespace, workflow, version)
            for pk, namespace, workflow, version in found.values_list("pk", "namespace", "workflow", "version")
        }

    def _of_row(self, row: models.History, about: About) -> Iterator[Sent]:
        behind = self.place.moments if row.pk == self.place.row else 0
        for number, moment in enumerate(moments_of(row, self._life.limit_bytes), 1):
            if number <= behind:
                continue
            self.place = Place(row.pk, number)
            if moment.kind in self._wanted.kinds:
                yield Sent(self.place, self._life.event(about, moment))


def moments_of(row: models.History, limit_bytes: int) -> Iterator[Moment]:
    """Yield what a row of the history and the marks beside it tell, in the order in which it happened."""
    before = [mark for mark in marks.read(row.marks) if not mark.is_after]
    after = [mark for mark in marks.read(row.marks) if mark.is_after]
    yield from _of_marks(before, row, row.ordinal)
    place = f"{row.step}.{row.ordinal}"
    error = None if row.problem is None else decode(bytes(row.problem))
    if row.is_phase:
        output = _output_of(row, limit_bytes) if row.status == "completed" else None
        yield from of_phase(row.status, row.kind, at=row.ended_at, place=place, output=output, error=error)
    elif row.is_phase is not None:
        output = None if row.output is None else decode(bytes(row.output))
        yield from of_run(
            row.status, row.position, row.attempt, row.iteration, at=row.ended_at, place=place, output=output,
            error=error,
        )  # fmt: skip
    yield from _of_marks(after, row, row.ordinal + 1)


def _of_marks(found: Sequence[marks.StoredMark], row: models.History, ordinal: int) -> Iterator[Moment]:
    for number, mark in enumerate(found, 1):
        yield from of_mark(
            mark.what, mark.position, mark.attempt, mark.iteration, mark.keys,
            at=row.ended_at, place=f"{row.step}.{ordinal}.{number}",
        )  # fmt: skip


def _output_of(row: models.History, limit_bytes: int) -> Json:
    """A workflow's output stands with the instance; it completes but once."""
    output = models.Instance.objects.filter(pk=row.instance).values_list("output", flat=True).first()
    return kept(None if output is None else bytes(output), limit_bytes)
