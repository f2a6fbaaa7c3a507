"""Dead letters: what the runtime gave up, with the reason, and how it is taken up again.

An instance becomes one when processes died of an activity of its, or when a step of its could not be taken or
stored. What a workflow's own fault ended is none: there the definition has spoken.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db.models import Q

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.runtime import operations
from workflows.runtime.audit import Actor
from workflows.runtime.errors import NotFoundError
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.views import InstanceView, instant

Kind = Literal["instance", "event"]

_PLACE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00 [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One of them."""

    id: str
    """That of its instance."""

    namespace: str
    workflow: str
    version: str
    problem: Json
    created_at: datetime
    given_up_at: datetime

    @property
    def reason(self) -> str:
        """Why it was given up, in a sentence."""
        return str(self.problem.get("detail") or self.problem["type"])

    @property
    def position(self) -> str | None:
        """The task that it stands at, where one is to blame."""
        return self.problem.get("instance") or None

    def to_json(self) -> dict[str, Json]:
        """Return it as the doors show it."""
        return {
            "id": self.id,
            "kind": "instance",
            "workflow": {"namespace": self.namespace, "name": self.workflow, "version": self.version},
            "reason": self.reason,
            "position": self.position,
            "error": self.problem,
            "createdAt": instant(self.created_at),
            "givenUpAt": instant(self.given_up_at),
        }


def list_dead_letters(*, actor: Actor, kind: Kind | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
    """Return dead letters of a kind, or of every kind; those given up last first."""
    if kind == "event":
        return Page(items=[], next=None)
    rows = models.Instance.objects.given_up().defer("input", "output", "context")
    if actor.namespaces is not None:
        rows = rows.filter(namespace__in=actor.namespaces)
    if cursor:
        rows = rows.filter(_after(cursor))
    found = list(rows.order_by("-ended_at", "-id")[: limit + 1])
    more = cursor_of(_place(found[limit - 1])) if len(found) > limit else None
    return Page(items=list(_letters(found[:limit])), next=more)


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
            id=str(row.pk), namespace=row.namespace, workflow=row.workflow, version=row.version,
            problem=decode(bytes(row.problem or b"{}")), created_at=row.created_at, given_up_at=row.ended_at,
        )  # fmt: skip


def _place(row: models.Instance) -> str:
    assert row.ended_at is not None
    return f"{row.ended_at.isoformat()} {row.pk}"


def _after(cursor: str) -> Q:
    at, _, last = after_cursor(cursor, _PLACE).partition(" ")
    moment = datetime.fromisoformat(at)
    return Q(ended_at__lt=moment) | Q(ended_at=moment, pk__lt=last)
