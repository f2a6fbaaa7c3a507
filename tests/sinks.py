"""Short makers of sinks and of what is on its way to them."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from workflows.dsl.jsontext import encode
from workflows.models import OutgoingEvent, Sink


def sink(url: str = "https://sink.example", name: str = "out", **more: Any) -> Sink:
    """Return a new one that wants what is emitted."""
    values = {"url": url, "mode": "structured", "kinds": ["emit"], "created_at": timezone.now()}
    row: Sink = Sink.objects.create(name=name, **{**values, **more})
    return row


def tell(to: Sink, instance: UUID, *numbers: int, namespace: str = "tests", **more: Any) -> None:
    """Write what the steps of an instance would: events whose data are these numbers."""
    now = timezone.now()
    for number in numbers:
        event = {
            "specversion": "1.0", "id": f"{instance}-{number}", "source": "/tests", "type": "counted",
            "instance": str(instance), "data": number, **more,
        }  # fmt: skip
        OutgoingEvent.objects.create(
            sink=to.pk, kind="emit", namespace=namespace, workflow="played", version="1.0.0", instance=instance,
            source="/tests", event_id=event["id"], type="counted", event=encode(event), created_at=now, due_at=now,
        )  # fmt: skip


def lose(to: Sink, instance: UUID, number: int, **more: Any) -> OutgoingEvent:
    """Return an event that was given up."""
    tell(to, instance, number, **more)
    row: OutgoingEvent = OutgoingEvent.objects.latest("pk")
    row.attempts, row.problem, row.given_up_at = 20, "POST https://sink.example: 400 no", timezone.now()
    row.save()
    return row
