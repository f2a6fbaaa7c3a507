"""`/dead-letters`: what the runtime gave up, and how it is taken up again."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows.api import schemas
from workflows.api.access import OPERATOR, VIEWER, actor_of
from workflows.api.bodies import answer, read_as
from workflows.api.instances import ENVELOPE_BYTES, instance_key, show
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.dsl import jsontext
from workflows.runtime import dead_letters, lost_events
from workflows.runtime.errors import InvalidRequestError

router = Router(tags=["dead letters"])


class DeadLettersParams(schemas.PageParams):
    """Of the list."""

    kind: Literal["instance", "event"] | None = None


class RedeliverBody(schemas.ReasonBody):
    """Why, and with what; without `input` with the one it had."""

    input: Any = None


class DeadLetterItem(schemas.Answer):
    """An instance that was given up, or an event that a sink did not take."""

    id: str
    kind: Literal["instance", "event"]
    workflow: schemas.WorkflowRef
    reason: str
    position: str | None
    error: dict[str, Any] | None
    created_at: datetime
    given_up_at: datetime
    sink: str | None = None
    instance: UUID | None = None
    attempts: int | None = None
    event: dict[str, Any] | None = None


class DeadLettersAnswer(schemas.Answer):
    """A page of dead letters."""

    items: list[DeadLetterItem]
    next: str | None


@router.get("", auth=VIEWER, response=answers({200: DeadLettersAnswer}), summary="List dead letters")
def list_dead_letters(request: HttpRequest, params: Query[DeadLettersParams]) -> HttpResponse:
    """What was given up last comes first. The `id` of an instance is its own; those of events begin with `event-`."""
    page = dead_letters.list_dead_letters(
        actor=actor_of(request), kind=params.kind, limit=params.limit, cursor=params.cursor
    )
    return answer({"items": [letter.to_json() for letter in page.items], "next": page.next})


@router.post(
    "/{letter_id}/redeliver",
    auth=OPERATOR,
    response=answers({200: schemas.InstanceAnswer, 202: DeadLetterItem}, 409, 413),
    openapi_extra=body_of(RedeliverBody),
    summary="Redeliver",
)
@without_parameters
def redeliver(request: HttpRequest, letter_id: str) -> HttpResponse:
    """An instance enters the task again that it stood at, as its `retry` does; `input` replaces that task's. An event
    is sent again: answered 202.
    """
    limit_bytes = settings.LEMLINE.limits.input + ENVELOPE_BYTES
    body = read_as(request, RedeliverBody, limit_bytes, "lemline.limits.input", may_be_empty=True)
    if lost_events.is_event(letter_id):
        if "input" in body.model_fields_set:
            message = "an event is sent as it is"
            raise InvalidRequestError(f"No input: {message}.", errors=({"pointer": "/input", "message": message},))
        sent = lost_events.redeliver_event(letter_id, actor=actor_of(request), reason=body.reason)
        return answer(sent.to_json(), status=202)
    edited = jsontext.encode(body.input) if "input" in body.model_fields_set else None
    wanted = instance_key(letter_id)
    return show(dead_letters.redeliver(wanted, actor=actor_of(request), input=edited, reason=body.reason))
