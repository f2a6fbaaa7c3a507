"""Webhooks: JSON that others post, verified and made a CloudEvent by what was agreed for its path."""

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from functools import lru_cache

from django.db import IntegrityError, transaction

from workflows import models
from workflows.dsl.jsontext import Json, decode, encode
from workflows.runtime import events, signatures
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from workflows.runtime.event_rules import check_events
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.process import current
from workflows.runtime.signatures import SCHEMES, Scheme
from workflows.runtime.views import instant
from workflows.runtime.webhook_mapping import EventTemplate, Posted, event_of, parse_mapping

log = logging.getLogger("lemline.webhooks")

TOLERANCE = timedelta(minutes=5)
"""How old a signature may be where the webhook says nothing. Source: Standard Webhooks' libraries."""

UNSIGNED_ID_HEADER = "Idempotency-Key"
"""What tells messages apart that come with an API key."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Signature:
    """How requests to a webhook are signed."""

    secret: str
    """Name of the secret that both sides know."""

    scheme: Scheme
    name: str = ""
    """That of the scheme, where it has one."""

    tolerance: timedelta = TOLERANCE


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """A webhook that somebody wants to have."""

    name: str
    namespace: str
    mapping: Mapping[str, Json]
    when: str = ""
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One of them, ready to take what is posted."""

    name: str
    namespace: str
    mapping: Mapping[str, Json]
    when: str
    signature: Signature | None
    row: models.Webhook = field(compare=False, repr=False)

    @property
    def path(self) -> str:
        """Where it takes JSON."""
        return path_of(self.name)

    def to_json(self) -> dict[str, Json]:
        """Return it as the doors show it: the secret by its name."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "path": self.path,
            "when": self.when or None,
            "mapping": dict(self.mapping),
            "signature": None if self.signature is None else _shown(self.signature),
            "createdAt": instant(self.row.created_at),
            "createdBy": self.row.created_by,
        }


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What became of one request."""

    event: Mapping[str, Json] | None
    """The CloudEvent; None where the webhook's condition did not hold."""

    accepted: int = 0
    duplicates: int = 0

    def to_json(self) -> dict[str, Json]:
        """Return the body of the API's answer."""
        named = None if self.event is None else {name: self.event[name] for name in ("id", "source", "type")}
        return {"accepted": self.accepted, "duplicates": self.duplicates, "event": named}


def path_of(name: str) -> str:
    """Return where the webhook of this name takes JSON."""
    return f"/api/v1/hooks/{name}"


def list_webhooks(*, actor: Actor, limit: int, cursor: str | None) -> Page[Webhook]:
    """Return webhooks by name."""
    rows = models.Webhook.objects.order_by("name")
    if actor.namespaces is not None:
        rows = rows.filter(namespace__in=actor.namespaces)
    if cursor:
        rows = rows.filter(name__gt=after_cursor(cursor, _NAME.pattern))
    found = list(rows[: limit + 1])
    return Page(
        items=[_webhook(row) for row in found[:limit]],
        next=cursor_of(found[limit - 1].name) if len(found) > limit else None,
    )


def get_webhook(name: str, *, actor: Actor) -> Webhook:
    """Return one; NotFoundError when there is none that the actor sees."""
    found = find_webhook(name)
    what = f"the webhook {name!r}"
    if found is None:
        raise NotFoundError(f"{what} does not exist")
    actor.must_see(found.namespace, what)
    return found


def find_webhook(name: str) -> Webhook | None:
    """Return one, whoever asks: a request to it is what shows that it may."""
    row = models.Webhook.objects.filter(name=name).first()
    return None if row is None else _webhook(row)


def create_webhook(wanted: WebhookRequest, *, actor: Actor, force: bool = False) -> tuple[Webhook, bool]:
    """Make a webhook; return it, and whether it is new or changed.

    Args:
        wanted: What it shall be.
        actor: Who makes it.
        force: Replace one of this name that says something else. What is posted meanwhile finds one of the two.

    Raises:
        InvalidRequestError: It cannot work; `errors` says everything that is wrong.
        ConflictError: There is another one of this name.
        NotFoundError: The namespace does not exist for the actor.
    """
    _check(wanted)
    parse_mapping(wanted.mapping, wanted.when)
    actor.must_see(wanted.namespace, f"the namespace {wanted.namespace}")
    now = current().clock.now()
    row = models.Webhook(
        name=wanted.name, namespace=wanted.namespace, mapping=encode(wanted.mapping).decode(), condition=wanted.when,
        signature=None if wanted.signature is None else _stored(wanted.signature),
        created_at=now, created_by=actor.name[:150],
    )  # fmt: skip
    try:
        with transaction.atomic():
            known = models.Webhook.objects.select_for_update().filter(name=wanted.name).first()
            if known is not None:
                there = _webhook(known)
                if there == replace(_webhook(row), row=known):
                    return there, False
                if not force or not actor.sees(known.namespace):
                    raise ConflictError(
                        f"the webhook {wanted.name!r} exists and says something else; delete it, or replace it with"
                        " force"
                    )
                row.pk = known.pk
            row.save()
            record(actor, "webhook.replace" if known else "webhook.create", wanted.name, "", now)
    except IntegrityError:
        # Somebody made one of this name at the same moment; what they made decides.
        return create_webhook(wanted, actor=actor, force=force)
    return _webhook(row), True


def delete_webhook(name: str, *, actor: Actor, reason: str = "") -> None:
    """Close the door; events that came by it stay. NotFoundError when the actor sees none of this name."""
    get_webhook(name, actor=actor)
    with transaction.atomic():
        models.Webhook.objects.filter(name=name).delete()
        record(actor, "webhook.delete", name, reason, current().clock.now())


def delete_by_key(key: int, *, actor: Actor, reason: str = "") -> None:
    """Delete one by its row's id, as the admin page knows it."""
    row = models.Webhook.objects.filter(pk=key).first()
    if row is None:
        raise NotFoundError(f"webhook {key} does not exist")
    delete_webhook(row.name, actor=actor, reason=reason)


def verify(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> None:
    """Return when the request is signed as the webhook asks.

    Raises:
        SignatureError: It is not.
        UnavailableError: The secret is not there, or is none; the sender is to try again once it is.
    """
    signature = webhook.signature
    assert signature is not None
    try:
        keys = signatures.keys_of(current().secrets.read(signature.secret))
    except (KeyError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is not provided here"
        log.error("webhook.secret", extra={"webhook": webhook.name, "secret": signature.secret, "reason": reason})
        raise UnavailableError(f"The secret of the webhook {webhook.name!r} cannot be used") from error
    now = current().clock.now()
    signatures.verify(signature.scheme, keys, headers, body, now=now, tolerance=signature.tolerance)


def accept(
    webhook: Webhook, headers: Mapping[str, str], query: Mapping[str, str], body: bytes, value: Json
) -> Accepted:
    """Store the CloudEvent that a request makes.

    Args:
        webhook: Which one it came to; whoever sent it may.
        headers: By name in small letters.
        query: Parameters of the path.
        body: As it was sent.
        value: The same as JSON.

    Raises:
        InvalidRequestError: The mapping makes no CloudEvent of it.
        TooLargeError: The CloudEvent is over its limit.
        OverloadedError: Too many wait to be looked at.
    """
    event = make_event(webhook, headers, query, body, value)
    if event is None:
        return Accepted(event=None)
    received = events.receive([event], namespace=webhook.namespace, by=f"webhook {webhook.name}")
    return Accepted(event=event, accepted=received.accepted, duplicates=received.duplicates)


def make_event(
    webhook: Webhook, headers: Mapping[str, str], query: Mapping[str, str], body: bytes, value: Json
) -> Mapping[str, Json] | None:
    """Return the CloudEvent that a request would make, stored nowhere; None where the condition does not hold."""
    id_header = UNSIGNED_ID_HEADER if webhook.signature is None else webhook.signature.scheme.id_header
    posted = Posted(
        body=body, value=value, headers=headers, query=query,
        message_id=headers.get(id_header.lower(), ""), at=current().clock.now(),
    )  # fmt: skip
    event = event_of(_template(webhook.row.mapping, webhook.when), posted, name=webhook.name)
    if event is None:
        return None
    [checked] = check_events([event], is_batch=False)
    return checked


@lru_cache(maxsize=256)
def _template(mapping: str, when: str) -> EventTemplate:
    """By what is said, not by whose it is: another process may have replaced the webhook."""
    return parse_mapping(decode(mapping.encode()), when)


def _webhook(row: models.Webhook) -> Webhook:
    return Webhook(
        name=row.name, namespace=row.namespace, mapping=decode(row.mapping.encode()), when=row.condition,
        signature=None if row.signature is None else _read(row.signature), row=row,
    )  # fmt: skip


def _stored(signature: Signature) -> dict[str, Json]:
    return {
        "secret": signature.secret,
        "name": signature.name,
        "tolerance_seconds": signature.tolerance.total_seconds(),
        "scheme": asdict(signature.scheme),
    }


def _read(stored: Mapping[str, Json]) -> Signature:
    name = stored["name"]
    return Signature(
        secret=stored["secret"],
        name=name,
        tolerance=timedelta(seconds=stored["tolerance_seconds"]),
        # A scheme with a name is what the name means today.
        scheme=SCHEMES[name] if name in SCHEMES else Scheme(**stored["scheme"]),
    )


def _shown(signature: Signature) -> dict[str, Json]:
    camel = {each.name: re.sub(r"_(\w)", lambda found: found[1].upper(), each.name) for each in fields(Scheme)}
    scheme = {camel[name]: value for name, value in asdict(signature.scheme).items()}
    return {
        "secret": signature.secret,
        "scheme": signature.name or "hmac",
        "toleranceSeconds": signature.tolerance.total_seconds(),
        **scheme,
    }


def _check(wanted: WebhookRequest) -> None:
    errors: list[dict[str, object]] = []
    if not _NAME.fullmatch(wanted.name):
        message = "a name has 1 to 63 small letters, digits, dots, hyphens and underscores; its ends are no marks"
        errors.append({"pointer": "/name", "message": message})
    if wanted.signature is not None:
        errors += [
            {"pointer": f"/signature/{member}", "message": message}
            for member, message in signatures.mistakes(wanted.signature.scheme)
        ]
    if errors:
        said = "; ".join(f"{error['pointer']}: {error['message']}" for error in errors)
        raise InvalidRequestError(f"The webhook cannot be made: {said}.", errors=tuple(errors))
