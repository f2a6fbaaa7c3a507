"""Readers of what is outside of a definition, and of the schemas that data must fit: endpoints, policies, documents."""

import re
from collections.abc import Mapping

import jsonschema_rs

from workflows.dsl.expression import Expression, Literal, Template
from workflows.dsl.issues import did_you_mean
from workflows.dsl.jsontext import Json, encode
from workflows.dsl.model import Endpoint, Export, ExternalResource, Input, Output, Schema
from workflows.dsl.position import below
from workflows.dsl.shapes import (
    NOTHING,
    Context,
    choice,
    expression,
    is_expression,
    items,
    kind_of,
    members,
    object_of,
    template,
    text,
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL)

_OIDC = (
    "authority", "grant", "client", "request", "issuers", "scopes", "audiences", "username", "password", "subject",
    "actor",
)  # fmt: skip
POLICIES = {
    "basic": (("username", "password"), ("username", "password")),
    "bearer": (("token",), ("token",)),
    "digest": (("username", "password"), ("username", "password")),
    "oauth2": ((*_OIDC, "endpoints"), ()),
    "oidc": (_OIDC, ()),
}
"""Kinds of authentication, the members of each, and those that must be there."""

_OBJECTS: Mapping[str, tuple[str, ...]] = {
    "client": ("id", "secret", "assertion", "authentication"),
    "request": ("encoding",),
    "subject": ("token", "type"),
    "actor": ("token", "type"),
    "endpoints": ("token", "revocation", "introspection"),
}
_NEEDED = ("token", "type")
"""What a subject and an actor have."""

_ARRAYS = ("issuers", "scopes", "audiences")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "grant": (
        "authorization_code", "client_credentials", "password", "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ),
    "authentication": (
        "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none",
    ),
    "encoding": ("application/x-www-form-urlencoded", "application/json"),
}  # fmt: skip


def authentication(context: Context, value: Json, pointer: str) -> Template:
    """Return a policy as the object `{kind: {...}}`, references resolved."""
    if isinstance(value, str):
        context.issues.warn(pointer, f"an authentication is named by {{use: {value[:80]}}}")
        value = {"use": value}
    if not (isinstance(value, dict) and set(value) == {"use"}):
        return policy(context, value, pointer)
    place = below(pointer, "use")
    name = text(context, value["use"], place, "the name of an authentication")
    known = context.section("authentications")
    if name in known:
        return policy(context, known[name], below("/use/authentications", name))
    if name:
        hint = did_you_mean(name, known)
        context.issues.error(place, f"there is no authentication {name!r} in use.authentications", hint)
    return NOTHING


def policy(context: Context, given: Json, pointer: str) -> Template:
    """Return a policy that is written out, as the object `{kind: {...}}`."""
    found = members(context, given, pointer, "an authentication", POLICIES)
    kinds = [kind for kind in found if kind in POLICIES]
    if len(kinds) != 1:
        if isinstance(given, dict):
            context.issues.error(pointer, f"an authentication says one of {', '.join(POLICIES)}, or use")
        return NOTHING
    [kind] = kinds
    details = found[kind]
    place = below(pointer, kind)
    if isinstance(details, dict) and set(details) == {"use"}:
        secret = text(context, details["use"], below(place, "use"), "the name of a secret")
        return object_of([(kind, Expression(f"$secrets[{encode(secret).decode()}]"))])
    known, required = POLICIES[kind]
    for key, value in members(context, details, place, f"a {kind} authentication", known, required).items():
        _check_detail(context, key, value, below(place, key))
    return object_of([(kind, template(context, details, place))])


def _check_detail(context: Context, key: str, value: Json, pointer: str) -> None:
    if key in _OBJECTS:
        required = _NEEDED if key in ("subject", "actor") else ()
        for name, part in members(context, value, pointer, key, _OBJECTS[key], required).items():
            _check_detail(context, f"{key}.{name}" if name in _OBJECTS else name, part, below(pointer, name))
    elif key in _ARRAYS:
        for index, item in enumerate(items(context, value, pointer, key)):
            text(context, item, below(pointer, index), key)
    elif key == "authority":
        uri(context, value, pointer)
        if is_expression(value):
            context.issues.strictly(pointer, "an authority is a URI")
    elif key in _WORDS and not is_expression(value):
        choice(context, value, pointer, key, _WORDS[key])
    else:
        text(context, value, pointer, key)
        if key in _WORDS:
            context.issues.strictly(pointer, f"{key} is one of {', '.join(_WORDS[key])}")


def endpoint(context: Context, value: Json, pointer: str) -> Endpoint:
    """Return an endpoint: a URI, or an object with one."""
    if isinstance(value, str):
        return Endpoint(uri=uri(context, value, pointer))
    inner = members(context, value, pointer, "an endpoint", ("uri", "authentication"), ("uri",))
    place = below(pointer, "authentication")
    return Endpoint(
        uri=uri(context, inner.get("uri", "http://missing"), below(pointer, "uri")),
        authentication=authentication(context, inner["authentication"], place) if "authentication" in inner else None,
    )


def uri(context: Context, value: Json, pointer: str) -> Template:
    """Return a URI, which may be a template."""
    source = text(context, value, pointer, "a URI")
    if source and not is_uri(source):
        complain = context.issues.strictly if source.startswith(("{", "/", ".", "${")) else context.issues.error
        complain(pointer, f"{source[:80]!r} is no URI: it begins with a scheme, e.g. https://")
    return template(context, source, pointer, uri=True)


def is_uri(source: str) -> bool:
    """Return whether the schema takes a text as a URI: with a scheme, or an expression as a whole."""
    return is_expression(source) or _SCHEME.fullmatch(source) is not None


def endpoint_object(found: Endpoint) -> Template:
    """Return the object that an activity gets: uri, and authentication when there is one."""
    pairs = [("uri", found.uri)]
    if found.authentication is not None:
        pairs.append(("authentication", found.authentication))
    return object_of(pairs)


def resource(context: Context, value: Json, pointer: str) -> ExternalResource:
    """Return an external resource."""
    inner = members(context, value, pointer, "an external resource", ("name", "endpoint"), ("endpoint",))
    place = below(pointer, "name")
    return ExternalResource(
        endpoint=endpoint(context, inner.get("endpoint", "http://missing"), below(pointer, "endpoint")),
        name=text(context, inner["name"], place, "a resource's name") if "name" in inner else None,
    )


def resource_object(found: ExternalResource) -> Template:
    """Return the object that an activity gets: endpoint, and name when there is one."""
    pairs = [("endpoint", endpoint_object(found.endpoint))]
    if found.name is not None:
        pairs.append(("name", Literal(found.name)))
    return object_of(pairs)


def schema(context: Context, value: Json, pointer: str) -> Schema:
    """Return a schema, inline or external."""
    inner = members(context, value, pointer, "a schema", ("format", "document", "resource"))
    if isinstance(value, dict) and ("document" in inner) == ("resource" in inner):
        context.issues.error(pointer, "a schema has either a document or a resource")
    format_ = text(context, inner.get("format", "json"), below(pointer, "format"), "a schema's format")
    if "resource" in inner:
        return Schema(format=format_, resource=resource(context, inner["resource"], below(pointer, "resource")))
    document = inner.get("document")
    if not isinstance(document, dict | bool) and "document" in inner and format_ == "json":
        context.issues.error(below(pointer, "document"), f"a JSON Schema is an object, not {kind_of(document)}")
    elif isinstance(document, dict) and format_ == "json" and (mistake := _mistake_in(document)):
        context.issues.error(below(pointer, "document"), f"this is no JSON Schema: {mistake}")
    return Schema(format=format_, document=document)


def _mistake_in(document: Json) -> str:
    """Return what its metaschema says against a schema; nothing when that is not at hand."""
    try:
        jsonschema_rs.meta.validate(document)
    except jsonschema_rs.ValidationError as error:
        path = "".join(f"/{part}" for part in error.instance_path)
        return f"{path}: {error.message[:200]}".removeprefix(": ")
    except (ValueError, TypeError, jsonschema_rs.ReferencingError):
        return ""
    return ""


def _shape(context: Context, value: Json, pointer: str, what: str, verb: str) -> tuple[Schema | None, Template | None]:
    inner = members(context, value, pointer, what, ("schema", verb))
    given = inner.get(verb)
    found: Template | None = None
    if isinstance(given, str):
        found = expression(context, given, below(pointer, verb), f"{what}.{verb}")
    elif isinstance(given, dict):
        found = template(context, given, below(pointer, verb))
    elif verb in inner:
        context.issues.error(below(pointer, verb), f"{what}.{verb} is an expression or an object, not {kind_of(given)}")
    return (schema(context, inner["schema"], below(pointer, "schema")) if "schema" in inner else None), found


def input_of(context: Context, value: Json, pointer: str) -> Input:
    """Return what is done to the raw input."""
    found, from_ = _shape(context, value, pointer, "input", "from")
    return Input(schema=found, from_=from_)


def output_of(context: Context, value: Json, pointer: str) -> Output:
    """Return what is done to the raw output."""
    found, as_ = _shape(context, value, pointer, "output", "as")
    return Output(schema=found, as_=as_)


def export_of(context: Context, value: Json, pointer: str) -> Export:
    """Return what is left in the context."""
    found, as_ = _shape(context, value, pointer, "export", "as")
    return Export(schema=found, as_=as_)
