"""Approvals: questions of running instances that people answer, each once.

The answer is a CloudEvent like any other, stored once by its source and id: who comes second is told what was decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core import signing
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from workflows import models
from workflows.dsl.jsontext import Json, decode
from workflows.engine import decode_state
from workflows.runtime import events
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError, OperationRefusedError
from workflows.runtime.event_rows import scope_of
from workflows.runtime.event_rules import check_events
from workflows.runtime.listing import Page, after_cursor, cursor_of
from workflows.runtime.process import current
from workflows.runtime.questions import SOURCE, Answer, Question, asks, questions_of, split_id
from workflows.runtime.records import unpack

MOST_READ = 2000
"""Instances looked at for one page."""

CHUNK = 50
"""Instances that are fetched at once: each state may be large."""

LINK_SPAN = timedelta(days=7)
LONGEST_LINK_SPAN = timedelta(days=366)
"""How long a link is good for where nothing is said, and at most."""

_END = 10**15 - 1
"""No frame has such a number: what comes after all questions of an instance."""

_SALT = "lemline.approval"
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,15}"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A question that has its answer."""

    id: str
    decision: str
    by: str
    at: str
    data: Json
    changed: bool
    """False when the same answer had been given before."""

    def to_json(self) -> dict[str, Json]:
        """Return the body of the API's answer."""
        return {"id": self.id, "decision": self.decision, "by": self.by, "at": self.at, "data": self.data}


@dataclass(frozen=True, kw_only=True)
class Link:
    """A way to one question for somebody who has no account."""

    path: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Linked:
    """What a link says: it was signed here, and is still good."""

    id: str
    actor: Actor


def list_approvals(*, actor: Actor, limit: int, cursor: str | None = None) -> Page[Question]:
    """Return open questions by instance. After `MOST_READ` instances the page ends early; `next` goes on from there."""
    after = split_id(after_cursor(cursor, _ID)) if cursor else None
    rows = asking(actor.namespaces).order_by("pk")
    if after is not None:
        is_through = after[1] == _END
        rows = rows.filter(pk__gt=after[0]) if is_through else rows.filter(pk__gte=after[0])
    found: list[Question] = []
    last: UUID | None = None
    for last, questions in _read(rows[:MOST_READ]):
        found += [each for each in questions if after is None or (last, each.frame) > after]
        if len(found) > limit:
            return Page(found[:limit], cursor_of(found[limit - 1].id))
    is_cut = last is not None and rows.filter(pk__gt=last).exists()
    return Page(found, cursor_of(f"{last}.{_END}") if is_cut else None)


def asking(namespaces: frozenset[str] | None) -> QuerySet[models.Instance]:
    """Return the instances that listen and whose definitions ask people; None is all namespaces."""
    texts = models.Definition.objects.filter(text__contains="approval").values_list("pk", flat=True)
    lookup = current().definitions.get
    definitions = [key for key in texts if asks(lookup(key).definition)]
    listening = Exists(models.Subscription.objects.filter(instance=OuterRef("pk")))
    rows = models.Instance.objects.open().filter(listening, definition__in=definitions)
    return rows if namespaces is None else rows.filter(namespace__in=namespaces)


def get_approval(approval_id: str, *, actor: Actor) -> Question:
    """Return an open question.

    Raises:
        NotFoundError: There is none of this id; the message says so of one that was answered.
    """
    place = split_id(approval_id)
    row = None if place is None else models.Instance.objects.filter(pk=place[0]).first()
    if place is None or row is None or not actor.sees(row.namespace):
        raise NotFoundError(f"the approval {approval_id} does not exist")
    for _, questions in _read(models.Instance.objects.filter(pk=row.pk)):
        for question in questions:
            if question.frame == place[1]:
                return question
    raise NotFoundError(f"the approval {approval_id} is not open: it was answered, or its instance waits no longer")


def find_answer(approval_id: str, *, actor: Actor) -> Answered | None:
    """Return the answer that a question was given, open or not; None without one that is still kept."""
    place = split_id(approval_id)
    row = None if place is None else models.Instance.objects.filter(pk=place[0]).first()
    if row is None or not actor.sees(row.namespace):
        return None
    return _stored(approval_id, row.namespace, None)


def answer(approval_id: str, decision: str, data: Json = None, *, actor: Actor) -> Answered:
    """Answer a question: the event is stored once this returns, and the instance goes on soon.

    Args:
        approval_id: Which one.
        decision: One of its decisions.
        data: What there is to say besides; None for nothing.
        actor: Who decides.

    Raises:
        NotFoundError: It is not open.
        InvalidRequestError: It knows no such decision.
        OperationRefusedError: It cannot be answered here; the message says why.
        ConflictError: Somebody decided otherwise before; the message says what.
        OverloadedError: Too many events wait.
    """
    known = find_answer(approval_id, actor=actor)
    if known is not None:
        return _first(known, decision, data)
    question = get_approval(approval_id, actor=actor)
    if question.problem:
        raise OperationRefusedError(f"the approval {question.id} cannot be answered here: {question.problem}")
    if decision not in question.decisions:
        message = f"{decision!r} is no decision here; there are {', '.join(question.decisions)}"
        raise InvalidRequestError(message, errors=({"pointer": "/decision", "message": message},))
    now = current().clock.now()
    event = question.event(Answer(decision=decision, by=actor.name, data=data), now)
    [event] = check_events([event], is_batch=False)
    if not question.takes(event):
        raise OperationRefusedError(f"the filter of {question.position} does not take the decision {decision!r}")
    with transaction.atomic():
        received = events.receive([event], namespace=question.namespace, by=f"approval/{actor.name}")
        if received.accepted:
            record(actor, "approval.answer", question.id, decision, now)
    known = _stored(question.id, question.namespace, str(event["source"]), changed=bool(received.accepted))
    if known is None:
        raise ConflictError(f"another event has the id {question.id} of this approval")
    return _first(known, decision, data)


def _first(known: Answered, decision: str, data: Json) -> Answered:
    if (known.decision, known.data) != (decision, data):
        raise ConflictError(f"{known.by} decided {known.decision!r} at {known.at}; the first answer counts")
    return known


def link_to(approval_id: str, *, actor: Actor, reader: str = "", span: timedelta = LINK_SPAN, reason: str = "") -> Link:
    """Return a link by which somebody may answer a question, once, until it expires: whoever has it may.

    Args:
        approval_id: Which one; it has to be open.
        actor: Who gives the link.
        reader: Whom it is for: they stand in the answer.
        span: How long it is good for.
        reason: For the audit.
    """
    question = get_approval(approval_id, actor=actor)
    if not timedelta() < span <= LONGEST_LINK_SPAN:
        message = f"a link is good for more than nothing and at most {LONGEST_LINK_SPAN.days} days"
        raise InvalidRequestError(message, errors=({"pointer": "/expiresIn", "message": message},))
    now = current().clock.now()
    expires_at = now + span
    name = reader[:100] or f"somebody whom {actor.name} gave a link"
    token = signing.dumps([question.id, name, int(expires_at.timestamp()), question.namespace], salt=_SALT)
    record(actor, "approval.link", question.id, reason or f"for {name}", now)
    return Link(path=f"/approve/{token}", expires_at=expires_at)


def read_link(token: str) -> Linked | None:
    """Return what a link says; None for one that was not made here, or has expired."""
    try:
        approval_id, name, expires, namespace = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    if expires < current().clock.now().timestamp():
        return None
    return Linked(id=approval_id, actor=Actor(name=name, door="link", namespaces=frozenset((namespace,))))


def _read(rows: QuerySet[models.Instance]) -> Iterator[tuple[UUID, list[Question]]]:
    """Yield instances with what they ask."""
    process = current()
    lookup, now = process.definitions.get, process.clock.now()
    places = list(rows.values_list("pk", "definition_id"))
    for start in range(0, len(places), CHUNK):
        part = places[start : start + CHUNK]
        kept = models.Checkpoint.objects.filter(instance__in=[key for key, _ in part], parked=False)
        states = {key: (state, given) for key, state, given in kept.values_list("instance", "state", "input")}
        for key, definition in part:
            found = states.get(key)
            state = decode_state(unpack(bytes(found[0])), bytes(found[1])) if found else None
            yield key, [] if state is None else list(questions_of(lookup(definition).definition, state, now))


def _stored(approval_id: str, namespace: str, source: str | None, *, changed: bool = False) -> Answered | None:
    """Return the answer among the events that were received; without its source, that of most filters."""
    row = models.ReceivedEvent.objects.filter(
        scope=scope_of(namespace), source=source or SOURCE, event_id=approval_id
    ).first()
    event = {} if row is None else decode(bytes(row.event))
    said = event.get("data")
    if not isinstance(said, dict) or said.get("approval") != approval_id:
        return None
    return Answered(
        id=approval_id, decision=str(said.get("decision")), by=str(said.get("by")), at=str(event.get("time")),
        data=said.get("data"), changed=changed,
    )  # fmt: skip
