"""Dead letters: what the runtime gave up, with the reason, and how it is taken up again.

An instance becomes one when processes died of an activity of its, or when a step of its could not be taken or
stored. What a workflow's own fault ended is none: there the definition has spoken. An event becomes one when its sink
refuses it again and again (`lost_events.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db.models import Q

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.runtime import lost_events, operations
from workflows.runtime.audit import Actor
from workflows.runtime.errors import NotFoundError
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.lost_events import LostEvent
from workflows.runtime.views import InstanceView, instant

Kind = Literal["instance", "event"]

_PLACE = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00 "
    r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{1,18})"
)
"""A moment, and the id of an instance or the number of an event."""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """An instance that is one."""

    id: str
    """That of its instance."""

    namespace: str
    name: str
    version: str
    problem: Json
    created_at: datetime
    given_up_at: datetime

    kind = "instance"

    @property
    def key(self) -> str:
        """That of its place among those that were given up at the same moment."""
        return self.id

    @property
    def reason(self) -> str:
        """Why it was given up, in a sentence."""
        return str(self.problem.get("detail") or self.problem["type"])

    @property
    def workflow(self) -> str:
        """Of which it is an instance."""
        return f"{self.namespace}/{self.name}:{self.version}"

    @property
    def position(self) -> str | None:
        """The task that it stands at, where one is to blame."""
        return self.problem.get("instance") or None

    def to_json(self) -> dict[str, Json]:
        """Return it as the doors show it."""
        return {
            "id": self.id,
            "kind": "instance",
            "workflow": {"namespace": self.namespace, "name": self.name, "version": self.version},
            "reason": self.reason,
            "position": self.position,
            "error": self.problem,
            "createdAt": instant(self.created_at),
            "givenUpAt": instant(self.given_up_at),
        }


def list_dead_letters(
    *, actor: Actor, kind: Kind | None, limit: int, cursor: str | None
) -> Page[DeadLetter | LostEvent]:
    """Return dead letters of a kind, or of every kind; those given up last first.

    Of those that were given up at the same moment, instances come before events.
    """
    of_instances, of_events = _after(cursor) if cursor else (Q(), Q())
    found: list[DeadLetter | LostEvent] = []
    if kind != "event":
        found += _lost_instances(actor, of_instances, limit + 1)
    if kind != "instance":
        found += lost_events.list_lost_events(actor=actor, where=of_events, limit=limit + 1)
        # Stable: each list has its order, and instances stand first.
        found.sort(key=lambda letter: letter.given_up_at, reverse=True)
    more = None
    if len(found) > limit:
        last = found[limit - 1]
        more = cursor_of(f"{last.given_up_at.isoformat()} {last.key}")
    return Page(items=found[:limit], next=more)


def _lost_instances(actor: Actor, where: Q, limit: int) -> list[DeadLetter]:
    rows = models.Instance.objects.given_up().defer("input", "output", "context").filter(where)
    if actor.namespaces is not None:
        rows = rows.filter(namespace__in=actor.namespaces)
    return list(_letters(rows.order_by("-ended_at", "-id")[:limit]))


def redeliver(instance_id: UUID, *, actor: Actor, input: bytes | None = None, reason: str = "") -> InstanceView:
    """Take an instance that was given up on from the task where it stood, as `retry` does.

    Args:
        instance_id: Which.
        actor: Who wants it.
        input: JSON text of an edited raw input of that task; None for the one it had.
        reason: For the history and the audit.

    Raises:
        NotFoundError: It is no dead letter.
        OperationRefusedError: It was taken up again already.
    """
    view = operations.get_instance(instance_id, actor=actor)
    if view.is_final and not models.Instance.objects.given_up().filter(pk=instance_id).exists():
        raise NotFoundError(f"the instance {instance_id} is no dead letter: it is {view.status}")
    return operations.retry(instance_id, actor=actor, input=input, reason=reason, verb="redeliver")


def _letters(rows: Iterable[models.Instance]) -> Iterable[DeadLetter]:
    for row in rows:
        assert row.ended_at is not None
        yield DeadLetter(
            id=str(row.pk), namespace=row.namespace, name=row.workflow, version=row.version,
            problem=decode(bytes(row.problem or b"{}")), created_at=row.created_at, given_up_at=row.ended_at,
        )  # fmt: skip


def _after(cursor: str) -> tuple[Q, Q]:
    """Return what instances and events come after a place."""
    at, _, last = after_cursor(cursor, _PLACE).partition(" ")
    moment = datetime.fromisoformat(at)
    if last.isdecimal():
        return Q(ended_at__lt=moment), Q(given_up_at__lt=moment) | Q(given_up_at=moment, pk__lt=last)
    return Q(ended_at__lt=moment) | Q(ended_at=moment, pk__lt=last), Q(given_up_at__lte=moment)
