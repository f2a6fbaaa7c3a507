"""`/webhooks`: doors for JSON of others. `/hooks/{name}`: what they are sent to."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import Field, model_validator

from workflows.api import problems, schemas
from workflows.api.access import EDITOR, OPERATOR, VIEWER, Caller, actor_of
from workflows.api.bodies import answer, check_json, no_content, parse, read_body
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.runtime import webhooks
from workflows.runtime.errors import NotFoundError
from workflows.runtime.signatures import SCHEMES, Scheme, SignatureError
from workflows.runtime.webhooks import TOLERANCE, Signature, Webhook, WebhookRequest

BODY_LIMIT_BYTES = 256 * 1024

router = Router(tags=["webhooks"])
hooks_router = Router(tags=["webhooks"])

Header = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
Part = Annotated[schemas.Text, Field(max_length=200)]


class SignatureBody(schemas.Body):
    """How requests are signed: by a scheme with a name, or member by member."""

    secret: Annotated[schemas.Text, Field(min_length=1, max_length=255)]
    scheme: Literal["hmac", "standard-webhooks", "github", "stripe", "slack", "shopify"] = "hmac"
    tolerance: schemas.IsoDuration = TOLERANCE
    header: Header | None = None
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Part = ""
    separator: Annotated[str, Field(pattern="^[ ,;]?$")] = ""
    signed: Part = "{body}"
    timestamp_header: Header | None = None
    timestamp_prefix: Part = ""
    id_header: Header | None = None

    @model_validator(mode="after")
    def check(self) -> "SignatureBody":
        """A scheme with a name says all by itself."""
        given = self.model_fields_set - {"secret", "scheme", "tolerance"}
        if self.scheme == "hmac" and self.header is None:
            raise ValueError(f"name the header that holds the signature, or a scheme: {', '.join(SCHEMES)}")
        if self.scheme != "hmac" and given:
            raise ValueError(f"{self.scheme} says that itself; without a scheme, all can be said: {', '.join(sorted(given))}")
        if self.tolerance <= timedelta():
            raise ValueError("tolerance: a duration above zero is wanted")
        return self

    def to_signature(self) -> Signature:
        """Return it as the operations take it."""
        named = SCHEMES.get(self.scheme)
        scheme = named or Scheme(
            header=self.header or "", algorithm=self.algorithm, encoding=self.encoding, prefix=self.prefix,
            separator=self.separator, signed=self.signed, timestamp_header=self.timestamp_header or "",
            timestamp_prefix=self.timestamp_prefix, id_header=self.id_header or "",
        )  # fmt: skip
        return Signature(secret=self.secret, scheme=scheme, name=self.scheme if named else "", tolerance=self.tolerance)


class WebhookBody(schemas.Body):
    """A webhook: what becomes of the JSON that is posted to it, and who may post."""

    name: schemas.Text
    namespace: Annotated[schemas.Text, Field(min_length=1, max_length=63)] = "default"
    mapping: dict[str, Any]
    when: Annotated[schemas.Text, Field(max_length=20_000)] = ""
    signature: SignatureBody | None = None

    def to_request(self) -> WebhookRequest:
        """Return it as the operations take it."""
        signature = None if self.signature is None else self.signature.to_signature()
        return WebhookRequest(
            name=self.name, namespace=self.namespace, mapping=self.mapping, when=self.when, signature=signature
        )


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
    body = parse(check_json(read_body(request, BODY_LIMIT_BYTES, "fixed")), WebhookBody)
    made, changed = webhooks.create_webhook(body.to_request(), actor=actor_of(request), force=params.force)
    return answer(
        made.to_json(), status=201 if changed else 200, headers={"Location": f"/api/v1/webhooks/{made.name}"}
    )


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
