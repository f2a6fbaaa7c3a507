"""`/sinks`: where CloudEvents are sent that workflows emit, or that tell what becomes of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from workflows.api import schemas
from workflows.api.access import ADMIN, VIEWER, actor_of
from workflows.api.bodies import answer, read_as
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.runtime import sinks
from workflows.runtime.sinks import SinkRequest

BODY_LIMIT_BYTES = 256 * 1024

router = Router(tags=["sinks"])


class SinkSettings(schemas.ReasonBody):
    """What a sink is."""

    url: schemas.Text
    mode: Literal["structured", "binary"] = "structured"
    kinds: Annotated[list[Literal["emit", "lifecycle"]], Field(default_factory=lambda: ["emit"])]
    namespace: schemas.Text = ""
    workflow: schemas.Text = ""
    filter: Annotated[dict[str, list[str] | str], Field(default_factory=dict)]
    secret: Annotated[schemas.Text, Field(description="name of the secret that signs what is sent over HTTP")] = ""
    credentials: Annotated[schemas.Text, Field(description="name of the secret by which the sink lets us in")] = ""


class SinkBody(SinkSettings):
    """A new sink."""

    name: schemas.Text


class SinkAnswer(schemas.Answer):
    """A sink, and how it stands."""

    name: str
    url: str
    mode: str
    kinds: list[str]
    namespace: str | None
    workflow: str | None
    filter: dict[str, list[str]]
    secret: str | None
    credentials: str | None
    status: Literal["ready", "away"]
    problem: str | None
    failures: int
    resting_until: datetime | None
    waiting: int
    waiting_since: datetime | None
    dead_letters: int
    delivered: int
    delivered_at: datetime | None
    created_at: datetime
    created_by: str


class SinksAnswer(schemas.Answer):
    """All sinks."""

    items: list[SinkAnswer]
    next: str | None


class RemovedSinkAnswer(schemas.Answer):
    """How many events were thrown away with a sink."""

    discarded: int


class RemoveParams(schemas.Params):
    """Of a removal."""

    discard: bool = False


@router.get("", auth=VIEWER, response=answers({200: SinksAnswer}), summary="List sinks")
@without_parameters
def list_sinks(request: HttpRequest) -> HttpResponse:
    """By name, with what waits for each. Events are counted up to 10,000."""
    return answer({"items": [view.to_json() for view in sinks.list_sinks(actor=actor_of(request))], "next": None})


@router.post(
    "",
    auth=ADMIN,
    response=answers({201: SinkAnswer}, 409, 413),
    openapi_extra=body_of(SinkBody, required=True),
    summary="Add a sink",
)
@without_parameters
def add_sink(request: HttpRequest) -> HttpResponse:
    """It gets what is told from now on, within a second."""
    body = read_as(request, SinkBody, BODY_LIMIT_BYTES, "fixed")
    view = sinks.add_sink(_request(body, body.name), actor=actor_of(request), reason=body.reason)
    return answer(view.to_json(), status=201, headers={"Location": f"/api/v1/sinks/{body.name}"})


@router.get("/{sink_name}", auth=VIEWER, response=answers({200: SinkAnswer}), summary="Show a sink")
@without_parameters
def get_sink(request: HttpRequest, sink_name: str) -> HttpResponse:
    """With what waits for it, and why."""
    return answer(sinks.get_sink(sink_name, actor=actor_of(request)).to_json())


@router.put(
    "/{sink_name}",
    auth=ADMIN,
    response=answers({200: SinkAnswer}, 413),
    openapi_extra=body_of(SinkSettings, required=True),
    summary="Change a sink",
)
@without_parameters
def change_sink(request: HttpRequest, sink_name: str) -> HttpResponse:
    """It is then what the body says. What waits for it stays, and is tried at once: so a wrong URL is mended."""
    body = read_as(request, SinkSettings, BODY_LIMIT_BYTES, "fixed")
    view = sinks.change_sink(_request(body, sink_name), actor=actor_of(request), reason=body.reason)
    return answer(view.to_json())


@router.delete("/{sink_name}", auth=ADMIN, response=answers({200: RemovedSinkAnswer}, 409), summary="Remove a sink")
def remove_sink(request: HttpRequest, sink_name: str, params: Query[RemoveParams]) -> HttpResponse:
    """Refused while events wait for it, unless `discard` says that they may be thrown away."""
    count = sinks.remove_sink(sink_name, actor=actor_of(request), discard=params.discard)
    return answer({"discarded": count})


def _request(body: SinkSettings, name: str) -> SinkRequest:
    return SinkRequest(
        name=name, url=body.url, mode=body.mode, kinds=body.kinds, namespace=body.namespace, workflow=body.workflow,
        filter=_texts(body.filter), secret=body.secret, credentials=body.credentials,
    )  # fmt: skip


def _texts(given: Mapping[str, list[str] | str]) -> dict[str, list[str]]:
    return {name: [texts] if isinstance(texts, str) else texts for name, texts in given.items()}
