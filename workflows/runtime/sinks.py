"""Sinks as people manage them: look, add, change, remove."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from workflows import models
from workflows.dsl.jsontext import Json
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError
from workflows.runtime.outbox import KINDS
from workflows.runtime.process import current
from workflows.runtime.sink_address import read_address
from workflows.runtime.views import instant

MODES = ("structured", "binary")
MOST_COUNTED = 10_000
"""Events of a sink are counted no further: there may be millions."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,100}")
_SECRET = re.compile(r"[^\x00-\x1f/]{0,255}")
_MOST_TEXTS = 100


@dataclass(frozen=True, kw_only=True)
class SinkRequest:
    """What a sink is to be; the fields are those of the table."""

    name: str
    url: str
    mode: str = "structured"
    kinds: Sequence[str] = ("emit",)
    namespace: str = ""
    workflow: str = ""
    filter: Mapping[str, Sequence[str]] = field(default_factory=dict)
    secret: str = ""
    credentials: str = ""


@dataclass(frozen=True, kw_only=True)
class SinkView:
    """A sink as the doors show it."""

    row: models.Sink
    waiting: int
    """Events that it has not got yet, counted up to `MOST_COUNTED`."""

    waiting_since: datetime | None
    dead_letters: int
    """Likewise those that were given up."""

    def to_json(self) -> dict[str, Json]:
        """Return the body of the API's answer."""
        row = self.row
        return {
            "name": row.name,
            "url": row.url,
            "mode": row.mode,
            "kinds": row.kinds,
            "namespace": row.namespace or None,
            "workflow": row.workflow or None,
            "filter": row.filter,
            "secret": row.secret or None,
            "credentials": row.credentials or None,
            "status": "away" if row.failures else "ready",
            "problem": row.problem or None,
            "failures": row.failures,
            "restingUntil": instant(row.resting_until),
            "waiting": self.waiting,
            "waitingSince": instant(self.waiting_since),
            "deadLetters": self.dead_letters,
            "delivered": row.delivered,
            "deliveredAt": instant(row.delivered_at),
            "createdAt": instant(row.created_at),
            "createdBy": row.created_by,
        }


def list_sinks(*, actor: Actor) -> list[SinkView]:
    """Return the sinks that exist for somebody, by name."""
    return [view_of(row) for row in _seen(actor)]


def get_sink(name: str, *, actor: Actor) -> SinkView:
    """Return one of them."""
    return view_of(_find(name, actor))


def add_sink(request: SinkRequest, *, actor: Actor, reason: str = "") -> SinkView:
    """Have what is told from now on sent somewhere; all processes know of it within a second.

    Raises:
        InvalidRequestError: It cannot be; `errors` says why.
        ConflictError: There is one of this name.
    """
    values = _checked(request, actor)
    now = current().clock.now()
    try:
        with transaction.atomic():
            row = models.Sink.objects.create(**values, created_at=now, created_by=actor.name[:150])
            record(actor, "sink.add", f"{row.name} {row.url}", reason, now)
    except IntegrityError as error:
        raise ConflictError(f"There is a sink {request.name} already; change it, or take another name.") from error
    current().outbox.forget()
    return view_of(row)


def change_sink(request: SinkRequest, *, actor: Actor, reason: str = "") -> SinkView:
    """Have a sink be what is said, and nothing that is not. What waits for it stays, and is tried at once.

    Raises:
        InvalidRequestError: It cannot be; `errors` says why.
        NotFoundError: There is none of this name.
    """
    values = _checked(request, actor)
    now = current().clock.now()
    with transaction.atomic():
        row = _find(request.name, actor, is_locked=True)
        for name, value in {**values, "failures": 0, "resting_until": None, "problem": ""}.items():
            setattr(row, name, value)
        row.save(update_fields=(*values, "failures", "resting_until", "problem"))
        record(actor, "sink.change", f"{row.name} {row.url}", reason, now)
    current().outbox.forget()
    return view_of(row)


def remove_sink(name: str, *, actor: Actor, discard: bool = False, reason: str = "") -> int:
    """Send nothing to a sink any more.

    Args:
        name: Which.
        actor: Who wants it.
        discard: Throw away what waits for it, dead letters too.
        reason: For the audit.

    Returns:
        How many events were thrown away.

    Raises:
        ConflictError: Events wait for it, and nobody said that they may be thrown away.
    """
    now = current().clock.now()
    with transaction.atomic():
        row = _find(name, actor, is_locked=True)
        view = view_of(row)
        if not discard and (view.waiting or view.dead_letters):
            raise ConflictError(
                f"For {name} wait {view.waiting} events and {view.dead_letters} dead letters: "
                "have them delivered, or say `discard` to throw them away."
            )
        count = models.OutgoingEvent.objects.filter(sink=row.pk).delete()[0]
        row.delete()
        told = f"{count} events thrown away"
        record(actor, "sink.remove", f"{name} {row.url}", f"{reason} ({told})" if reason else told, now)
    current().outbox.forget()
    return int(count)


def view_of(row: models.Sink) -> SinkView:
    """Return a row with what waits for it."""
    events = models.OutgoingEvent.objects.filter(sink=row.pk)
    waiting, letters = events.filter(given_up_at=None), events.filter(given_up_at__isnull=False)
    return SinkView(
        row=row,
        waiting=waiting[:MOST_COUNTED].count(),
        waiting_since=waiting.order_by("due_at", "pk").values_list("created_at", flat=True).first(),
        dead_letters=letters[:MOST_COUNTED].count(),
    )


def _seen(actor: Actor) -> QuerySet[models.Sink]:
    rows = models.Sink.objects.order_by("name")
    return rows if actor.namespaces is None else rows.filter(namespace__in=actor.namespaces)


def _find(name: str, actor: Actor, *, is_locked: bool = False) -> models.Sink:
    rows = _seen(actor)
    row = (rows.select_for_update() if is_locked else rows).filter(name=name).first()
    if row is None:
        raise NotFoundError(f"the sink {name} does not exist")
    return row


def _checked(request: SinkRequest, actor: Actor) -> dict[str, Any]:
    """Return the values of the columns."""
    _check("/name", _NAME.fullmatch(request.name), "a name has lower-case letters, digits and hyphens, 63 at most")
    read_address(request.url)
    _check("/mode", request.mode in MODES, f"one of {', '.join(MODES)}")
    kinds = sorted(set(request.kinds))
    _check("/kinds", kinds and set(kinds) <= set(KINDS), f"one or both of {', '.join(KINDS)}")
    for name, text in (("secret", request.secret), ("credentials", request.credentials)):
        _check(f"/{name}", _SECRET.fullmatch(text), "the name of a secret, not the secret itself")
    for name, text in (("namespace", request.namespace), ("workflow", request.workflow)):
        _check(f"/{name}", len(text) <= 63 and "\x00" not in text, "63 characters at most")
    may = actor.namespaces is None or request.namespace in actor.namespaces
    _check("/namespace", may, f"name one that you may see: {', '.join(sorted(actor.namespaces or ()))}")
    return {
        "name": request.name, "url": request.url, "mode": request.mode, "kinds": kinds,
        "namespace": request.namespace, "workflow": request.workflow, "filter": _filter_of(request.filter),
        "secret": request.secret, "credentials": request.credentials,
    }  # fmt: skip


def _filter_of(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    for name, texts in given.items():
        _check(f"/filter/{name}", _ATTRIBUTE.fullmatch(name), "an attribute of a CloudEvent: letters and digits")
        _check(f"/filter/{name}", 0 < len(texts) <= _MOST_TEXTS, f"1 to {_MOST_TEXTS} texts")
        is_fine = all(len(text) <= 1000 and "\x00" not in text and "*" not in text[:-1] for text in texts)
        _check(f"/filter/{name}", is_fine, "a text of 1000 characters at most, or the beginning of one and `*`")
    return {name: list(texts) for name, texts in given.items()}


def _check(pointer: str, is_fine: object, message: str) -> None:
    if not is_fine:
        raise InvalidRequestError(
            f"The sink's {pointer.removeprefix('/')}: {message}.", errors=({"pointer": pointer, "message": message},)
        )
