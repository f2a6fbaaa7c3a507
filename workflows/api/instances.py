"""`/instances`: list, show and steer what runs and what has run."""

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows.api import schemas
from workflows.api.access import OPERATOR, VIEWER, actor_of
from workflows.api.bodies import Body, answer, read_as
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.dsl import jsontext
from workflows.runtime import operations
from workflows.runtime.errors import NotFoundError
from workflows.runtime.operations import InstanceFilter, InstanceView

ENVELOPE_BYTES = 64 * 1024
"""What a body may hold beside an input, which has a limit of its own."""

ONE = answers({200: schemas.InstanceAnswer}, 409, 413)

router = Router(tags=["instances"])


@router.get("", auth=VIEWER, response=answers({200: schemas.InstancesAnswer}), summary="List instances")
def list_instances(request: HttpRequest, params: Query[schemas.InstancesParams]) -> HttpResponse:
    """Newest first. Large values are answered as `{"$truncated": true, ...}`."""
    wanted = InstanceFilter(
        workflow=params.workflow,
        version=params.version,
        status=params.status,
        labels=schemas.labels_of(params.label),
        since=params.since,
        until=params.until,
        error=params.error,
    )
    page = operations.list_instances(wanted, actor=actor_of(request), limit=params.limit, cursor=params.cursor)
    return answer({"items": [view.to_json(summary=True) for view in page.items], "next": page.next})


@router.get("/{instance_id}", auth=VIEWER, response=answers({200: schemas.InstanceAnswer}), summary="Show an instance")
def get_instance(request: HttpRequest, instance_id: str, params: Query[schemas.WaitParams]) -> HttpResponse:
    """With `wait`, answers when the instance has ended, or after so many seconds."""
    wanted = instance_key(instance_id)
    return show(operations.get_instance(wanted, actor=actor_of(request), wait_seconds=params.wait))


@router.get(
    "/{instance_id}/history", auth=VIEWER, response=answers({200: schemas.HistoryAnswer}), summary="Show its history"
)
def history(request: HttpRequest, instance_id: str, params: Query[schemas.PageParams]) -> HttpResponse:
    """Task runs in order of start, running ones with `endedAt: null`; and the phases."""
    view = operations.history(
        instance_key(instance_id), actor=actor_of(request), limit=params.limit, cursor=params.cursor
    )
    return answer({"tasks": view.tasks.items, "next": view.tasks.next, "phases": view.phases})


@router.post(
    "/{instance_id}/suspend", auth=OPERATOR, response=ONE, openapi_extra=body_of(schemas.SuspendBody), summary="Suspend"
)
@without_parameters
def suspend(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Nothing new is begun until `resume`, or until `resumeAfter` has passed."""
    wanted, body = instance_key(instance_id), _read(request, schemas.SuspendBody)
    view = operations.suspend(wanted, actor=actor_of(request), reason=body.reason, resume_after=body.resume_after)
    return show(view)


@router.post(
    "/{instance_id}/resume", auth=OPERATOR, response=ONE, openapi_extra=body_of(schemas.ReasonBody), summary="Resume"
)
@without_parameters
def resume(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Goes on where `suspend` held it."""
    wanted, body = instance_key(instance_id), _read(request, schemas.ReasonBody)
    return show(operations.resume(wanted, actor=actor_of(request), reason=body.reason))


@router.post(
    "/{instance_id}/cancel", auth=OPERATOR, response=ONE, openapi_extra=body_of(schemas.ReasonBody), summary="Cancel"
)
@without_parameters
def cancel(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Ends it now; work that is under way is stopped."""
    wanted, body = instance_key(instance_id), _read(request, schemas.ReasonBody)
    return show(operations.cancel(wanted, actor=actor_of(request), reason=body.reason))


@router.post(
    "/{instance_id}/retry", auth=OPERATOR, response=ONE, openapi_extra=body_of(schemas.RetryBody), summary="Retry"
)
@without_parameters
def retry(request: HttpRequest, instance_id: str) -> HttpResponse:
    """Runs a faulted or cancelled one again: from the failed task, the beginning or a position."""
    wanted, body = instance_key(instance_id), _read(request, schemas.RetryBody)
    edited = jsontext.encode(body.input) if "input" in body.model_fields_set else None
    view = operations.retry(wanted, actor=actor_of(request), source=body.from_, input=edited, reason=body.reason)
    return show(view)


def instance_key(text: str) -> UUID:
    """Return the id that a path names.

    Raises:
        NotFoundError: It is none, so there is no such instance either.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFoundError(f"There is no instance {text!r}: an id is a UUID.") from error


def show(view: InstanceView, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """Answer with a whole instance."""
    return answer(view.to_json(), status=status, headers=headers)


def _read(request: HttpRequest, schema: type[Body]) -> Body:
    limit_bytes = settings.LEMLINE.limits.input + ENVELOPE_BYTES
    return read_as(request, schema, limit_bytes, "lemline.limits.input", may_be_empty=True)
