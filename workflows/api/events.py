"""`/events`: CloudEvents come in, and those that came."""

from datetime import datetime
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows.api import schemas
from workflows.api.access import OPERATOR, VIEWER, actor_of
from workflows.api.bodies import answer, read_body
from workflows.api.schemas import answers
from workflows.runtime import reception
from workflows.runtime.parcels import BATCH, STRUCTURED, Parcel, read_events
from workflows.runtime.reception import EventFilter

_PREFIX = "ce-"

router = Router(tags=["events"])


class PublishParams(schemas.Params):
    """Where events go."""

    namespace: schemas.Text | None = None


class EventsParams(schemas.PageParams):
    """Filters of the list of received events."""

    type: str | None = None
    source: str | None = None
    since: schemas.Moment | None = None


class PublishedAnswer(schemas.Answer):
    """What became of events that were sent."""

    accepted: int
    duplicates: int


class ReceivedItem(schemas.Answer):
    """An event that was received."""

    received_at: datetime
    namespace: str | None
    event: dict[str, Any]


class EventsAnswer(schemas.Answer):
    """A page of received events."""

    items: list[ReceivedItem]
    next: str | None


_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        **{name: {"type": "string"} for name in ("specversion", "id", "source", "type", "subject", "datacontenttype")},
        "time": {"type": "string", "format": "date-time"},
        "data": {},
        "data_base64": {"type": "string", "format": "byte"},
    },
    "additionalProperties": {},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _EVENT},
            BATCH: {"schema": {"type": "array", "items": _EVENT}},
            "application/json": {"schema": {}},
        },
    }
}


@router.post("", auth=OPERATOR, response=answers({202: PublishedAnswer}, 413), openapi_extra=_BODY, summary="Publish")
def publish(request: HttpRequest, params: Query[PublishParams]) -> HttpResponse:
    """CloudEvents 1.0, structured, in a batch, or binary: `ce-` headers beside data of any type. `202` means stored; an
    event that is known by source and id is a duplicate. Of a batch all are stored or, with one bad event, none.
    """
    content_type = request.headers.get("Content-Type", "")
    attributes = {
        name.lower().removeprefix(_PREFIX): unquote(value)
        for name, value in request.headers.items()
        if name.lower().startswith(_PREFIX)
    }
    found = read_events(Parcel(content_type=content_type, attributes=attributes, body=_body(request, content_type)))
    done = reception.publish(found, actor=actor_of(request), namespace=params.namespace)
    return answer({"accepted": done.accepted, "duplicates": done.duplicates}, status=202)


@router.get("", auth=VIEWER, response=answers({200: EventsAnswer}), summary="List received events")
def list_events(request: HttpRequest, params: Query[EventsParams]) -> HttpResponse:
    """The newest first. A page may end early, with `next`, where many events do not fit or are large."""
    wanted = EventFilter(type=params.type, source=params.source, since=params.since)
    page = reception.list_events(wanted, actor=actor_of(request), limit=params.limit, cursor=params.cursor)
    return answer({"items": [view.to_json() for view in page.items], "next": page.next})


def _body(request: HttpRequest, content_type: str) -> bytes:
    """A batch may be larger than one event; plain JSON may be a batch."""
    limits = settings.LEMLINE.limits
    kind = content_type.partition(";")[0].strip().lower()
    is_one = kind == STRUCTURED or kind not in (BATCH, "", "application/json")
    if is_one:
        return read_body(request, limits.event, "lemline.limits.event")
    return read_body(request, limits.event_batch, "lemline.limits.event-batch")
