"""`/schedules`: what starts by itself, when next and when last; pause, resume, trigger, backfill."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from workflows.api import schemas
from workflows.api.access import OPERATOR, VIEWER, actor_of
from workflows.api.bodies import answer, read_as
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.api.starts import idempotency_key
from workflows.runtime import schedules
from workflows.runtime.errors import NotFoundError

BODY_LIMIT_BYTES = 64 * 1024

_MOST_DIGITS = 18
"""More has no number that a row could have."""

router = Router(tags=["schedules"])


class BackfillBody(schemas.ReasonBody):
    """The window: from its beginning to before its end."""

    start: Annotated[schemas.Moment, Field(alias="from")]
    end: Annotated[schemas.Moment, Field(alias="to")]


class FireItem(schemas.Answer):
    """One start by a schedule."""

    instance: UUID
    kind: str
    due_at: datetime | None
    at: datetime
    by: str | None


class ScheduleAnswer(schemas.Answer):
    """What a workflow's highest version says about starts, and what came of it."""

    id: str
    workflow: schemas.WorkflowRef
    kind: str
    expression: str
    time_zone: str | None
    catch_up: str | None
    status: str
    next_fire_at: datetime | None
    awaited_instance: UUID | None
    last_fire_at: datetime | None
    fire_count: int
    last_missed_at: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    created_at: datetime
    fires: list[FireItem]


class SchedulesAnswer(schemas.Answer):
    """A page of schedules."""

    items: list[ScheduleAnswer]
    next: str | None


class BackfilledAnswer(schemas.Answer):
    """What a backfill started, and for how many due times something had been started before."""

    started: int
    skipped: int
    instances: list[UUID]


@router.get("", auth=VIEWER, response=answers({200: SchedulesAnswer}), summary="List schedules")
def list_schedules(request: HttpRequest, params: Query[schemas.DefinitionsParams]) -> HttpResponse:
    """By namespace and workflow, each with its last start. Only the highest version of a workflow is scheduled."""
    page = schedules.list_schedules(
        actor=actor_of(request), namespace=params.namespace, name=params.name, limit=params.limit, cursor=params.cursor
    )
    return answer({"items": [view.to_json() for view in page.items], "next": page.next})


@router.get("/{schedule_id}", auth=VIEWER, response=answers({200: ScheduleAnswer}), summary="Show a schedule")
@without_parameters
def get_schedule(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """With its last ten starts."""
    return answer(schedules.get_schedule(_key(schedule_id), actor=actor_of(request)).to_json())


_REASON: Any = body_of(schemas.ReasonBody)


@router.post(
    "/{schedule_id}/pause",
    auth=OPERATOR,
    response=answers({200: ScheduleAnswer}, 413),
    openapi_extra=_REASON,
    summary="Pause a schedule",
)
@without_parameters
def pause(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """It starts nothing until it is resumed, whatever versions come. What runs goes on."""
    view = schedules.pause(_key(schedule_id), actor=actor_of(request), reason=_reason(request))
    return answer(view.to_json())


@router.post(
    "/{schedule_id}/resume",
    auth=OPERATOR,
    response=answers({200: ScheduleAnswer}, 413),
    openapi_extra=_REASON,
    summary="Resume a schedule",
)
@without_parameters
def resume(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """It goes on with its next due time; what was due while it was paused can be backfilled."""
    view = schedules.resume(_key(schedule_id), actor=actor_of(request), reason=_reason(request))
    return answer(view.to_json())


@router.post(
    "/{schedule_id}/trigger",
    auth=OPERATOR,
    response=answers({202: FireItem}, 409, 413),
    openapi_extra=_REASON,
    summary="Start now",
)
@without_parameters
def trigger(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """Starts an instance beside those that are due. Header `Idempotency-Key`."""
    fire = schedules.trigger(
        _key(schedule_id), actor=actor_of(request), reason=_reason(request), key=idempotency_key(request)
    )
    headers = {"Location": f"/api/v1/instances/{fire.instance}"}
    return answer(schedules.fire_json(fire), status=202, headers=headers)


@router.post(
    "/{schedule_id}/backfill",
    auth=OPERATOR,
    response=answers({202: BackfilledAnswer}, 409, 413),
    openapi_extra=body_of(BackfillBody, required=True),
    summary="Backfill a past window",
)
@without_parameters
def backfill(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """Starts an instance for each due time of the window that nothing was started for."""
    body = read_as(request, BackfillBody, BODY_LIMIT_BYTES, "fixed")
    done = schedules.backfill(_key(schedule_id), body.start, body.end, actor=actor_of(request), reason=body.reason)
    return answer(done.to_json(), status=202)


def _reason(request: HttpRequest) -> str:
    return read_as(request, schemas.ReasonBody, BODY_LIMIT_BYTES, "fixed", may_be_empty=True).reason


def _key(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise NotFoundError(f"There is no schedule {text!r}: an id is a number.")
    return int(text)
