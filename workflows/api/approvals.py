"""`/approvals`: what running instances ask people."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field

from workflows.api import schemas
from workflows.api.access import OPERATOR, VIEWER, actor_of
from workflows.api.bodies import answer, read_as
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.runtime import approvals
from workflows.runtime.views import instant

router = Router(tags=["approvals"])


class DecisionBody(schemas.Body):
    """What somebody decides."""

    decision: schemas.Text
    data: Any = None


class LinkBody(schemas.Body):
    """Whom a link is for, and how long it is good."""

    for_: Annotated[schemas.Text, Field(alias="for", max_length=100)] = ""
    expires_in: schemas.IsoDuration = approvals.LINK_SPAN


class ApprovalAnswer(schemas.Answer):
    """A question that is open."""

    id: str
    instance: UUID
    workflow: schemas.WorkflowRef
    position: str
    task: str
    question: str
    data: Any
    decisions: list[str]
    asked_at: datetime
    problem: str | None
    """Why it cannot be answered here."""


class ApprovalsAnswer(schemas.Answer):
    """A page of questions."""

    items: list[ApprovalAnswer]
    next: str | None


class AnsweredAnswer(schemas.Answer):
    """What was decided."""

    id: str
    decision: str
    by: str
    at: datetime
    data: Any


class LinkAnswer(schemas.Answer):
    """A link; whoever has it may answer."""

    url: str
    expires_at: datetime


@router.get("", auth=VIEWER, response=answers({200: ApprovalsAnswer}), summary="List approvals")
def list_approvals(request: HttpRequest, params: Query[schemas.PageParams]) -> HttpResponse:
    """Those that are open, the oldest instance first. A page may end early, with `next`."""
    page = approvals.list_approvals(actor=actor_of(request), limit=params.limit, cursor=params.cursor)
    return answer({"items": [question.to_json() for question in page.items], "next": page.next})


@router.get("/{approval_id}", auth=VIEWER, response=answers({200: ApprovalAnswer}), summary="Show an approval")
@without_parameters
def get_approval(request: HttpRequest, approval_id: str) -> HttpResponse:
    """While it is open."""
    return answer(approvals.get_approval(approval_id, actor=actor_of(request)).to_json())


@router.post(
    "/{approval_id}",
    auth=OPERATOR,
    response=answers({202: AnsweredAnswer}, 409, 413),
    openapi_extra=body_of(DecisionBody, required=True),
    summary="Answer an approval",
)
@without_parameters
def answer_approval(request: HttpRequest, approval_id: str) -> HttpResponse:
    """`202` once the answer is stored: the first one counts. The same again changes nothing, another one is `409`."""
    body = read_as(request, DecisionBody, settings.LEMLINE.limits.event, "lemline.limits.event")
    done = approvals.answer(approval_id, body.decision, body.data, actor=actor_of(request))
    return answer(done.to_json(), status=202)


@router.post(
    "/{approval_id}/link",
    auth=OPERATOR,
    response=answers({201: LinkAnswer}, 413),
    openapi_extra=body_of(LinkBody),
    summary="Make a link to an approval",
)
@without_parameters
def make_link(request: HttpRequest, approval_id: str) -> HttpResponse:
    """For somebody without an account: a page that shows the question and takes one answer until it expires."""
    body = read_as(request, LinkBody, settings.LEMLINE.limits.event, "lemline.limits.event", may_be_empty=True)
    link = approvals.link_to(approval_id, actor=actor_of(request), reader=body.for_, span=body.expires_in)
    shown = {"url": request.build_absolute_uri(link.path), "expiresAt": instant(link.expires_at)}
    return answer(shown, status=201)
