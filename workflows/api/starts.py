"""Starting instances, the hot path of this door: the body is checked and handed on as bytes."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows.api import schemas
from workflows.api.access import OPERATOR, actor_of
from workflows.api.bodies import check_json, read_as, read_body
from workflows.api.instances import ENVELOPE_BYTES, show
from workflows.api.instances import router as instances_router
from workflows.api.schemas import answers, body_of
from workflows.dsl import jsontext
from workflows.models import FINAL_STATUSES
from workflows.runtime import operations
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.operations import StartRequest

MAX_KEY_LENGTH = 255

STARTED = answers({200: schemas.InstanceAnswer, 202: schemas.InstanceAnswer}, 409, 413)

router = Router(tags=["instances"])


@router.post(
    "/{namespace}/{name}/run",
    auth=OPERATOR,
    response=STARTED,
    openapi_extra=schemas.ANY_BODY,
    summary="Start the latest version",
)
def run_latest(request: HttpRequest, namespace: str, name: str, params: Query[schemas.RunParams]) -> HttpResponse:
    """The body is the input: any JSON, nothing means `{}`. Header `Idempotency-Key`."""
    return _run(request, namespace, name, None, params)


@router.post(
    "/{namespace}/{name}/{version}/run",
    auth=OPERATOR,
    response=STARTED,
    openapi_extra=schemas.ANY_BODY,
    summary="Start one version",
)
def run_version(
    request: HttpRequest, namespace: str, name: str, version: str, params: Query[schemas.RunParams]
) -> HttpResponse:
    """The body is the input: any JSON, nothing means `{}`. Header `Idempotency-Key`."""
    return _run(request, namespace, name, version, params)


@instances_router.post(
    "",
    auth=OPERATOR,
    response=STARTED,
    openapi_extra=body_of(schemas.StartBody, required=True),
    summary="Start with everything in the body",
)
def start(request: HttpRequest, params: Query[schemas.StartParams]) -> HttpResponse:
    """A chosen `id` is its own idempotency key."""
    limit_bytes = settings.LEMLINE.limits.input + ENVELOPE_BYTES
    body = read_as(request, schemas.StartBody, limit_bytes, "lemline.limits.input")
    wanted = StartRequest(
        namespace=body.workflow.namespace,
        name=body.workflow.name,
        version=body.workflow.version,
        input=jsontext.encode(body.input) if "input" in body.model_fields_set else b"{}",
        priority=body.priority,
        labels=body.labels,
        instance_id=body.id,
        idempotency_key=idempotency_key(request),
        start_at=body.start_at,
    )
    return _start(request, wanted, params.wait)


def _run(
    request: HttpRequest, namespace: str, name: str, version: str | None, params: schemas.RunParams
) -> HttpResponse:
    text = read_body(request, settings.LEMLINE.limits.input, "lemline.limits.input") or b"{}"
    check_json(text)
    wanted = StartRequest(
        namespace=namespace,
        name=name,
        version=version,
        input=text,
        priority=params.priority,
        labels=schemas.labels_of(params.label),
        instance_id=None,
        idempotency_key=idempotency_key(request),
        start_at=None,
    )
    return _start(request, wanted, params.wait)


def _start(request: HttpRequest, wanted: StartRequest, wait: float | None) -> HttpResponse:
    """202 is the answer to a start; 200 says that the body shows how it ended, to whom that is news."""
    actor = actor_of(request)
    started = operations.start(wanted, actor=actor)
    view = started.instance
    if wait and view.status not in FINAL_STATUSES:
        view = operations.get_instance(view.id, actor=actor, wait_seconds=wait)
    has_ended = view.status in FINAL_STATUSES and (wait is not None or not started.created)
    return show(view, status=200 if has_ended else 202, headers={"Location": f"/api/v1/instances/{view.id}"})


def idempotency_key(request: HttpRequest) -> str | None:
    """Return what the header of this name says, None without it."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        message = f"1 to {MAX_KEY_LENGTH} characters"
        raise InvalidRequestError(
            f"The header Idempotency-Key takes {message}.",
            errors=({"parameter": "Idempotency-Key", "message": f"takes {message}"},),
        )
    return key
