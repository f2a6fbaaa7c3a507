"""`/workflows`: register, list, show and delete definitions."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from workflows import models
from workflows.api import schemas
from workflows.api.access import EDITOR, VIEWER, actor_of, caller_of, require
from workflows.api.bodies import answer, check_json, no_content, read_body
from workflows.api.schemas import answers
from workflows.dsl.jsontext import Json
from workflows.runtime import operations
from workflows.runtime.documents import document_of
from workflows.runtime.views import instant

router = Router(tags=["definitions"])


@router.post(
    "",
    auth=EDITOR,
    response=answers({200: schemas.RegisteredAnswer, 201: schemas.RegisteredAnswer}, 409, 413),
    openapi_extra=schemas.TEXT_BODY,
    summary="Register a definition",
)
def register(request: HttpRequest, params: Query[schemas.RegisterParams]) -> HttpResponse:
    """YAML or JSON. `force` replaces a version (role admin); `dry_run` only checks."""
    if params.force:
        require(caller_of(request).identity, "admin")
    text = read_body(request, settings.LEMLINE.limits.definition, "lemline.limits.definition")
    if (request.content_type or "").endswith("json"):
        check_json(text)
    done = operations.register(text, actor=actor_of(request), force=params.force, dry_run=params.dry_run)
    body = {
        "namespace": done.namespace,
        "name": done.name,
        "version": done.version,
        "digest": done.digest,
        "warnings": list(done.warnings),
    }
    return answer(
        body,
        status=201 if done.created else 200,
        headers={"Location": f"/api/v1/workflows/{done.namespace}/{done.name}/{done.version}"},
    )


@router.get("", auth=VIEWER, response=answers({200: schemas.DefinitionsAnswer}), summary="List definitions")
def list_definitions(request: HttpRequest, params: Query[schemas.DefinitionsParams]) -> HttpResponse:
    """Every version that can be started."""
    page = operations.list_definitions(
        actor=actor_of(request),
        namespace=params.namespace,
        name=params.name,
        limit=params.limit,
        cursor=params.cursor,
    )
    return answer({"items": [_item(definition) for definition in page.items], "next": page.next})


@router.get("/{namespace}/{name}", auth=VIEWER, response=answers({200: None}), summary="Show the latest version")
def get_latest(
    request: HttpRequest, namespace: str, name: str, params: Query[schemas.DefinitionParams]
) -> HttpResponse:
    """The document as YAML or JSON: by `format`, else by `Accept`, else JSON."""
    return _show(request, operations.find_definition(namespace, name, actor=actor_of(request)), params.format)


@router.get("/{namespace}/{name}/{version}", auth=VIEWER, response=answers({200: None}), summary="Show one version")
def get_version(
    request: HttpRequest, namespace: str, name: str, version: str, params: Query[schemas.DefinitionParams]
) -> HttpResponse:
    """The document as YAML or JSON; `latest` is the highest semantic version."""
    found = operations.find_definition(namespace, name, version, actor=actor_of(request))
    return _show(request, found, params.format)


@router.delete(
    "/{namespace}/{name}/{version}", auth=EDITOR, response=answers({204: None}, 409), summary="Delete a version"
)
def delete(
    request: HttpRequest, namespace: str, name: str, version: str, params: Query[schemas.ForceParams]
) -> HttpResponse:
    """Refused while instances of it are open, unless forced; those keep their definition."""
    operations.delete_definition(namespace, name, version, actor=actor_of(request), force=params.force)
    return no_content()


def _item(definition: models.Definition) -> dict[str, Json]:
    return {
        "namespace": definition.namespace,
        "name": definition.name,
        "version": definition.version,
        "digest": definition.digest,
        "title": definition.title,
        "summary": definition.summary,
        "createdAt": instant(definition.created_at),
        "createdBy": definition.created_by,
    }


def _show(request: HttpRequest, definition: models.Definition, wanted: str | None) -> HttpResponse:
    as_yaml = wanted == "yaml" or (wanted is None and "yaml" in request.META.get("HTTP_ACCEPT", ""))
    headers = {"ETag": f'"{definition.digest}"', "Vary": "Accept"}
    if as_yaml:
        return HttpResponse(definition.text, content_type="application/yaml", headers=headers)
    return answer(document_of(definition.text), headers=headers)
