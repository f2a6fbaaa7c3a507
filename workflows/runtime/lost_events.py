"""Dead letters among events: what a sink refused again and again while it took others."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.runtime import deliveries
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import NotFoundError
from workflows.runtime.process import current
from workflows.runtime.views import instant

_ID = re.compile(r"event-([0-9]{1,18})")


@dataclass(frozen=True, kw_only=True)
class LostEvent:
    """One of them."""

    row: models.OutgoingEvent
    sink: str
    """Its name; empty once it is gone."""

    kind = "event"

    @property
    def id(self) -> str:
        """Tells them from instances."""
        return f"event-{self.row.pk}"

    @property
    def key(self) -> str:
        """That of its place among those that were given up at the same moment."""
        return str(self.row.pk)

    @property
    def given_up_at(self) -> datetime:
        """When."""
        assert self.row.given_up_at is not None
        return self.row.given_up_at

    @property
    def reason(self) -> str:
        """Why it was given up, in a sentence."""
        return f"the sink {self.sink or self.row.sink} refused it {self.row.attempts} times: {self.row.problem}"

    @property
    def workflow(self) -> str:
        """Of whose instance it tells."""
        return f"{self.row.namespace}/{self.row.workflow}:{self.row.version}"

    def to_json(self) -> dict[str, Json]:
        """Return it as the doors show it."""
        row = self.row
        return {
            "id": self.id,
            "kind": "event",
            "workflow": {"namespace": row.namespace, "name": row.workflow, "version": row.version},
            "reason": self.reason,
            "position": None,
            "error": None,
            "sink": self.sink or None,
            "instance": str(row.instance),
            "attempts": row.attempts,
            "event": decode(bytes(row.event)),
            "createdAt": instant(row.created_at),
            "givenUpAt": instant(row.given_up_at),
        }


def is_event(letter: str) -> bool:
    """Return whether a dead letter's id is that of an event."""
    return letter.startswith("event-")


def list_lost_events(*, actor: Actor, where: Q, limit: int) -> list[LostEvent]:
    """Return those that were given up last, among those that fit."""
    rows = models.OutgoingEvent.objects.filter(where, given_up_at__isnull=False)
    if actor.namespaces is not None:
        rows = rows.filter(namespace__in=actor.namespaces)
    names = dict(models.Sink.objects.values_list("pk", "name"))
    found = rows.order_by("-given_up_at", "-id")[:limit]
    return [LostEvent(row=row, sink=names.get(row.sink, "")) for row in found]


def redeliver_event(letter: str | int, *, actor: Actor, reason: str = "") -> LostEvent:
    """Have an event sent again, before what still waits of its instance; return it as it was.

    Args:
        letter: `event-` and a number, or the number.
        actor: Who wants it.
        reason: For the audit.

    Raises:
        NotFoundError: There is none; also when it is on its way already.
    """
    match = _ID.fullmatch(letter) if isinstance(letter, str) else None
    number = int(match[1]) if match else letter
    found = list_lost_events(actor=actor, where=Q(pk=number), limit=1) if isinstance(number, int) else []
    now = current().clock.now()
    with transaction.atomic():
        if not found or not deliveries.redeliver({"pk": number}, now):
            raise NotFoundError(f"there is no dead letter {letter}: it may have been redelivered")
        record(actor, "event.redeliver", f"{found[0].id} {found[0].row.type} to {found[0].sink}", reason, now)
    return found[0]
