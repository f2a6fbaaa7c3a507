"""`/dead-letters`: what the runtime gave up, and how it is taken up again."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows.api import schemas
from workflows.api.access import OPERATOR, VIEWER, actor_of
from workflows.api.bodies import answer, check_json, parse, read_body
from workflows.api.instances import ENVELOPE_BYTES, instance_key, show
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.dsl import jsontext
from workflows.runtime import dead_letters

router = Router(tags=["dead letters"])


class DeadLettersParams(schemas.PageParams):
    """Of the list."""

    kind: Literal["instance", "event"] | None = None


class RedeliverBody(schemas.ReasonBody):
    """Why, and with what; without `input` with the one it had."""

    input: Any = None


class DeadLetterItem(schemas.Answer):
    """An instance that was given up."""

    id: UUID
    kind: Literal["instance", "event"]
    workflow: schemas.WorkflowRef
    reason: str
    position: str | None
    error: dict[str, Any]
    created_at: datetime
    given_up_at: datetime


class DeadLettersAnswer(schemas.Answer):
    """A page of dead letters."""

    items: list[DeadLetterItem]
    next: str | None


@router.get("", auth=VIEWER, response=answers({200: DeadLettersAnswer}), summary="List dead letters")
def list_dead_letters(request: HttpRequest, params: Query[DeadLettersParams]) -> HttpResponse:
    """What was given up last comes first. Their `id` is that of the instance. So far no event becomes one."""
    page = dead_letters.list_dead_letters(
        actor=actor_of(request), kind=params.kind, limit=params.limit, cursor=params.cursor
    )
    return answer({"items": [letter.to_json() for letter in page.items], "next": page.next})


@router.post(
    "/{instance_id}/redeliver",
    auth=OPERATOR,
    response=answers({200: schemas.InstanceAnswer}, 409, 413),
    openapi_extra=body_of(RedeliverBody),
    summary="Redeliver",
)
@without_parameters
def redeliver(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Enters the task again that it stood at, as `retry` of the instance does; `input` replaces that task's."""
    text = read_body(request, settings.LEMLINE.limits.input + ENVELOPE_BYTES, "lemline.limits.input")
    body = parse(check_json(text or b"{}"), RedeliverBody)
    edited = jsontext.encode(body.input) if "input" in body.model_fields_set else None
    wanted = instance_key(instance_id)
    return show(dead_letters.redeliver(wanted, actor=actor_of(request), input=edited, reason=body.reason))
