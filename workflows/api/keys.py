"""`/keys`: API keys. The key itself is answered once, when it is made."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from workflows import models
from workflows.api import schemas
from workflows.api.access import ADMIN, actor_of
from workflows.api.bodies import answer, no_content, read_as
from workflows.api.schemas import answers, body_of, without_parameters
from workflows.dsl.jsontext import Json
from workflows.runtime import accounts
from workflows.runtime.views import instant

BODY_LIMIT_BYTES = 64 * 1024

router = Router(tags=["keys"])


@router.get("", auth=ADMIN, response=answers({200: schemas.KeysAnswer}), summary="List API keys")
@without_parameters
def list_keys(request: HttpRequest) -> HttpResponse:
    """All that the caller may manage, revoked ones included."""
    return answer({"items": [_item(key) for key in accounts.list_keys(actor=actor_of(request))], "next": None})


@router.post(
    "",
    auth=ADMIN,
    response=answers({201: schemas.CreatedKeyAnswer}, 413),
    openapi_extra=body_of(schemas.KeyBody, required=True),
    summary="Make an API key",
)
@without_parameters
def create_key(request: HttpRequest) -> HttpResponse:
    """Keep the `key` of the answer: it cannot be shown again."""
    body = read_as(request, schemas.KeyBody, BODY_LIMIT_BYTES, "fixed")
    made = accounts.create_key(
        body.name, body.role, namespaces=body.namespaces, expires_at=body.expires_at, actor=actor_of(request)
    )
    headers = {"Location": f"/api/v1/keys/{made.key.pk}", "Cache-Control": "no-store"}
    return answer({**_item(made.key), "key": made.text}, status=201, headers=headers)


@router.delete("/{key_id}", auth=ADMIN, response=answers({204: None}), summary="Revoke an API key")
@without_parameters
def revoke_key(request: HttpRequest, key_id: str) -> HttpResponse:
    """By number or prefix; takes effect everywhere within a second."""
    accounts.revoke_key(key_id, actor=actor_of(request))
    return no_content()


def _item(key: models.ApiKey) -> dict[str, Json]:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": key.prefix,
        "role": key.role,
        "namespaces": key.namespaces,
        "createdAt": instant(key.created_at),
        "expiresAt": instant(key.expires_at),
        "revokedAt": instant(key.revoked_at),
    }
