"""`/webhooks`: doors for JSON of others. `/hooks/{name}`: what they are sent to."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows.api import problems, schemas
from workflows.api.access import EDITOR, OPERATOR, VIEWER, Caller, actor_of
from workflows.api.bodies import answer, check_json, no_content, read_as, read_body
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.api.webhook_bodies import WebhookBody
from workflows.runtime import webhooks
from workflows.runtime.errors import NotFoundError
from workflows.runtime.signatures import SignatureError
from workflows.runtime.webhooks import Signature, Webhook

router = Router(tags=["webhooks"])
hooks_router = Router(tags=["webhooks"])


class WebhookAnswer(schemas.Answer):
    """A webhook."""

    name: str
    namespace: str
    path: str
    when: str | None
    mapping: dict[str, Any]
    signature: dict[str, Any] | None
    created_at: str
    created_by: str


class WebhooksAnswer(schemas.Answer):
    """A page of webhooks."""

    items: list[WebhookAnswer]
    next: str | None


class HookedAnswer(schemas.Answer):
    """What became of what was posted; `event` is null where the webhook's condition did not hold."""

    accepted: int
    duplicates: int
    event: dict[str, str] | None


@router.get("", auth=VIEWER, response=answers({200: WebhooksAnswer}), summary="List webhooks")
def list_webhooks(request: HttpRequest, params: Query[schemas.PageParams]) -> HttpResponse:
    """By name."""
    page = webhooks.list_webhooks(actor=actor_of(request), limit=params.limit, cursor=params.cursor)
    return answer({"items": [webhook.to_json() for webhook in page.items], "next": page.next})


@router.post(
    "",
    auth=EDITOR,
    response=answers({200: WebhookAnswer, 201: WebhookAnswer}, 409, 413),
    openapi_extra=body_of(WebhookBody, required=True),
    summary="Make a webhook",
)
def create_webhook(request: HttpRequest, params: Query[schemas.ForceParams]) -> HttpResponse:
    """`200` when this very one exists. With `force`, one of this name that says something else is replaced."""
    body = read_as(request, WebhookBody, settings.LEMLINE.limits.definition, "lemline.limits.definition")
    made, changed = webhooks.create_webhook(body.to_request(), actor=actor_of(request), force=params.force)
    return answer(made.to_json(), status=201 if changed else 200, headers={"Location": f"/api/v1/webhooks/{made.name}"})


@router.get("/{webhook_name}", auth=VIEWER, response=answers({200: WebhookAnswer}), summary="Show a webhook")
@without_parameters
def get_webhook(request: HttpRequest, webhook_name: str) -> HttpResponse:
    """Its secret by name."""
    return answer(webhooks.get_webhook(webhook_name, actor=actor_of(request)).to_json())


@router.delete("/{webhook_name}", auth=EDITOR, response=answers({204: None}), summary="Delete a webhook")
@without_parameters
def delete_webhook(request: HttpRequest, webhook_name: str) -> HttpResponse:
    """Nothing is taken by it any more; events that came by it stay."""
    webhooks.delete_webhook(webhook_name, actor=actor_of(request))
    return no_content()


@hooks_router.post(
    "/{webhook_name}",
    response=answers({202: HookedAnswer}, 413),
    openapi_extra={**schemas.ANY_BODY, "security": [{}, {"ApiKeyOrSession": []}]},
    summary="Post to a webhook",
)
def post(request: HttpRequest, webhook_name: str) -> HttpResponse:
    """The body is any JSON. A signature lets it in where the webhook asks for one, else an API key does.

    `202` once the CloudEvent is stored. The same again is a duplicate, and changes nothing.
    """
    webhook = webhooks.find_webhook(webhook_name)
    if webhook is None or webhook.signature is None:
        caller = OPERATOR(request)
        if caller is None:
            return problems.unauthorized(request)
        webhook = _visible(webhook, webhook_name, caller)
    body = read_body(request, settings.LEMLINE.limits.event, "lemline.limits.event")
    headers = {name.lower(): value for name, value in request.headers.items()}
    if webhook.signature is not None:
        try:
            webhooks.verify(webhook, headers, body)
        except SignatureError as error:
            return _unsigned(request, webhook.signature, error)
    accepted = webhooks.accept(webhook, headers, request.GET.dict(), body, check_json(body))
    return answer(accepted.to_json(), status=202)


def _visible(webhook: Webhook | None, name: str, caller: Caller) -> Webhook:
    if webhook is None or not caller.actor.sees(webhook.namespace):
        raise NotFoundError(f"the webhook {name!r} does not exist")
    return webhook


def _unsigned(request: HttpRequest, signature: Signature, error: SignatureError) -> HttpResponse:
    header = signature.scheme.header
    detail = f"This webhook takes what is signed in {header}: {error}."
    return problems.problem(request, 401, detail, headers={"WWW-Authenticate": f'Signature header="{header}"'})
