"""Definitions as people manage them: register, find, list, delete."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from workflows import dsl, models
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError, TooLargeError
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.process import current
from workflows.runtime.timetables import follow


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What registering gave."""

    namespace: str
    name: str
    version: str
    digest: str
    created: bool
    """False when this very text was registered already."""

    warnings: tuple[dict[str, Any], ...]
    """One per questionable spelling: pointer, line, column, message."""


def register(text: bytes, *, actor: Actor, force: bool = False, dry_run: bool = False) -> Registered:
    """Register a definition.

    Args:
        text: YAML or JSON, UTF-8.
        actor: Who does it.
        force: Replace a version that exists with another text; its running instances keep the old one.
        dry_run: Check only.

    Raises:
        TooLargeError: The text is over `lemline.limits.definition`.
        workflows.dsl.DefinitionError: It cannot be accepted; says everything that is wrong.
        InvalidRequestError: The version is too long.
        ConflictError: The version exists with another text.
        NotFoundError: The namespace does not exist for the actor.
    """
    limit = settings.LEMLINE.limits.definition
    if len(text) > limit:
        raise TooLargeError(
            f"the definition has {len(text)} bytes, at most {limit} are taken (lemline.limits.definition)"
        )
    process = current()
    strict = settings.LEMLINE.workflow.validation.strict
    definition = dsl.parse(text, strict=strict, functions=process.functions, limit_bytes=limit)
    document = definition.document
    if len(document.version) > _VERSION_LENGTH:
        message = f"a version has at most {_VERSION_LENGTH} characters"
        raise InvalidRequestError(message, errors=({"pointer": "/document/version", "message": message},))
    actor.must_see(document.namespace, f"the namespace {document.namespace}")
    digest = hashlib.sha256(text).hexdigest()
    row = models.Definition(
        namespace=document.namespace, name=document.name, version=document.version, digest=digest,
        version_key=version_key(document.version), text=text.decode(), title=document.title or "",
        summary=document.summary or "", created_at=process.clock.now(), created_by=actor.name[:150],
    )  # fmt: skip
    created = False if dry_run and not _conflicts(row, force) else _store(row, actor, force)
    return Registered(
        namespace=row.namespace, name=row.name, version=row.version, digest=digest, created=created,
        warnings=tuple(warning.to_json() for warning in definition.warnings),
    )  # fmt: skip


def _conflicts(row: models.Definition, force: bool) -> bool:
    known = models.Definition.objects.named(row.namespace, row.name, row.version)
    if known is None or known.digest == row.digest or force:
        return False
    raise ConflictError(_conflict(row, known))


def _store(row: models.Definition, actor: Actor, force: bool) -> bool:
    try:
        with transaction.atomic():
            known = models.Definition.objects.current().select_for_update().filter(
                namespace=row.namespace, name=row.name, version=row.version
            ).first()  # fmt: skip
            if known is not None and known.digest == row.digest:
                # Its schedule all the same: the text may have been registered before schedules started anything.
                follow(row.namespace, row.name, row.created_at)
                return False
            if known is not None:
                if not force:
                    raise ConflictError(_conflict(row, known))
                models.Definition.objects.filter(pk=known.pk).update(is_current=False)
            row.save()
            follow(row.namespace, row.name, row.created_at)
            record(actor, "definition.register", str(row), "forced" if known else "", row.created_at)
    except IntegrityError:
        # Somebody registered the same version at the same moment; what they stored decides.
        return _store(row, actor, force)
    current().forget_latest()
    return True


def _conflict(row: models.Definition, known: models.Definition) -> str:
    return (
        f"{row} is registered with another text (digest {known.digest[:12]}); give it a new version,"
        " or replace it with force"
    )


def find_definition(namespace: str, name: str, version: str = "latest", *, actor: Actor) -> models.Definition:
    """Return a definition by name; NotFoundError names the versions that exist."""
    what = f"the workflow {namespace}/{name}"
    actor.must_see(namespace, what)
    found = models.Definition.objects.named(namespace, name, version)
    if found is not None:
        return found
    versions = list(models.Definition.objects.versions_of(namespace, name).values_list("version", flat=True)[:5])
    if versions:
        raise NotFoundError(f"{what} has no version {version}; registered: {', '.join(versions)}")
    raise NotFoundError(f"{what} does not exist")


def list_definitions(
    *, actor: Actor, namespace: str | None = None, name: str | None = None, limit: int, cursor: str | None
) -> Page[models.Definition]:
    """Return current definitions by namespace and name, the highest version first."""
    rows = models.Definition.objects.current()
    if actor.namespaces is not None:
        rows = rows.filter(namespace__in=actor.namespaces)
    if namespace:
        rows = rows.filter(namespace=namespace)
    if name:
        rows = rows.filter(name=name)
    if cursor:
        rows = rows.filter(_after(*after_cursor(cursor, _PLACE).split("/")))
    found = list(rows.order_by("namespace", "name", "-version_key")[: limit + 1])
    return Page(items=found[:limit], next=_place(found[limit - 1]) if len(found) > limit else None)


_PLACE = r"[^/\x00]+/[^/\x00]+/[^/\x00]+"


def _place(row: models.Definition) -> str:
    return cursor_of(f"{row.namespace}/{row.name}/{row.version_key}")


def _after(namespace: str, name: str, key: str) -> Q:
    """What follows a place in the list."""
    later_name = Q(name__gt=name) | Q(name=name, version_key__lt=key)
    return Q(namespace__gt=namespace) | Q(namespace=namespace) & later_name


def delete_definition(namespace: str, name: str, version: str, *, actor: Actor, force: bool = False) -> None:
    """Delete a version. Instances that refer to it keep its text; while any is open, only with `force`.

    Raises:
        NotFoundError: There is no such version.
        ConflictError: Instances of it are open.
        InvalidRequestError: `latest`; said twice, it would delete two.
    """
    if version == "latest":
        raise InvalidRequestError("name the version to delete; `latest` is another one afterwards")
    row = find_definition(namespace, name, version, actor=actor)
    opened = models.Instance.objects.open().filter(definition=row).count()
    if opened and not force:
        raise ConflictError(f"{opened} instances of {row} are open; end them first, or delete it with force")
    now = current().clock.now()
    with transaction.atomic():
        models.Definition.objects.filter(pk=row.pk).update(is_current=False)
        follow(namespace, name, now)
        record(actor, "definition.delete", str(row), "forced" if force else "", now)
    current().forget_latest()


_VERSION_LENGTH = 255
_KEY_LENGTH = 400
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def version_key(version: str) -> str:
    """Return a text that sorts as semantic versions do: 1.2.0 before 1.10.0, 1.0.0-rc.1 before 1.0.0.

    It is made of digits and small letters, which sort alike in every language that a database may sort by.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise InvalidRequestError(f"{version} is not a semantic version, e.g. 1.0.0")
    numbers = "".join(_number(match[place]) for place in (1, 2, 3))
    if match[4] is None:
        return numbers + "z"
    return (numbers + "a" + "".join(map(_identifier, match[4].split("."))))[:_KEY_LENGTH]


def _identifier(part: str) -> str:
    """Numbers come before words, and a word before those that begin with it: no letter's code begins with 0."""
    return f"0{_number(part)}" if part.isdigit() else f"1{part.encode().hex()}0"


def _number(digits: str) -> str:
    """Put the count of digits first, so that longer numbers sort higher."""
    plain = digits.lstrip("0") or "0"
    return f"{len(plain):02}{plain}"
