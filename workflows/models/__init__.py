r"""The tables: what is stored, its constraints, and the words to query it.

Rows are written by `runtime/` only, most of them by wide SQL statements (`runtime/records.py`). JSON
that users gave is kept as text or bytes, since `jsonb` refuses `\u0000`, loses key order and respells
numbers; what must be searched stands in columns of its own beside it.
"""

from workflows.models.access import ApiKey, AuditEntry
from workflows.models.bridges import Bridge, RejectedMessage
from workflows.models.cluster import LoadSample, Node
from workflows.models.definitions import Definition, DefinitionQuerySet
from workflows.models.events import EventKey, Interest, LookBack, PendingEvent, ReceivedEvent, Subscription
from workflows.models.instances import (
    FINAL_STATUSES,
    OPEN_STATUSES,
    Approval,
    Checkpoint,
    DeadLetter,
    History,
    Instance,
    InstanceQuerySet,
    Label,
)
from workflows.models.schedules import Fire, Gathering, HeardEvent, Schedule, ScheduleQuerySet
from workflows.models.sinks import LostEvent, OutgoingEvent, Sink
from workflows.models.webhooks import Webhook

__all__ = [
    "FINAL_STATUSES",
    "OPEN_STATUSES",
    "ApiKey",
    "Approval",
    "AuditEntry",
    "Bridge",
    "Checkpoint",
    "DeadLetter",
    "Definition",
    "DefinitionQuerySet",
    "EventKey",
    "Fire",
    "Gathering",
    "HeardEvent",
    "History",
    "Instance",
    "InstanceQuerySet",
    "Interest",
    "Label",
    "LoadSample",
    "LookBack",
    "LostEvent",
    "Node",
    "OutgoingEvent",
    "PendingEvent",
    "ReceivedEvent",
    "RejectedMessage",
    "Schedule",
    "ScheduleQuerySet",
    "Sink",
    "Subscription",
    "Webhook",
]
