"""The verbs of every door: register, start, look, suspend, resume, cancel, retry.

API, admin and command line read a request, call one of these and show the result. Each verb checks what
the actor may see: a foreign namespace does not exist for them.
"""

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import uuid6
from django.conf import settings

from workflows import models
from workflows.dsl.jsontext import decode
from workflows.engine import facts
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OperationRefusedError,
    OverloadedError,
    TooLargeError,
    UnavailableError,
)
from workflows.runtime.histories import HistoryView, read_history
from workflows.runtime.listing import InstanceFilter, Page, instance_view, read_instances
from workflows.runtime.ports import Outcome
from workflows.runtime.process import current
from workflows.runtime.records import Birth
from workflows.runtime.registrations import (
    Registered,
    delete_definition,
    find_definition,
    list_definitions,
    register,
)
from workflows.runtime.views import InstanceView, is_left_out

__all__ = [
    "Actor", "HistoryView", "InstanceFilter", "InstanceView", "Page", "Registered", "StartRequest", "Started", "cancel",
    "delete_definition", "find_definition", "get_instance", "history", "list_definitions", "list_instances", "register",
    "resume", "retry", "start", "suspend",
]  # fmt: skip

PATIENCE_SECONDS = 2.0
"""How long a door waits for a commit before it says that the database is away."""

FIRST_LOOK_SECONDS = 0.002
LOOK_SHARE = 0.1
LAST_LOOK_SECONDS = 0.025
"""Who waits for an end that another process commits looks after a share of the time that has gone by, but neither
sooner nor later than this.
"""


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """An instance that somebody wants."""

    namespace: str
    name: str
    version: str | None = None
    """None for the latest."""

    input: bytes = b"{}"
    """JSON text."""

    priority: int | None = None
    """1 is most urgent; None for the default."""

    labels: Mapping[str, str] = field(default_factory=dict)
    instance_id: UUID | None = None
    """Chosen by the caller; acts as its own idempotency key."""

    idempotency_key: str | None = None
    start_at: datetime | None = None


@dataclass(frozen=True)
class Started:
    """What a start gave."""

    instance: InstanceView
    created: bool
    """False when the request had been made before, and this is its instance."""


def start(request: StartRequest, *, actor: Actor) -> Started:
    """Start an instance; returns once it is stored.

    Raises:
        NotFoundError: No such workflow or version.
        InvalidRequestError: The priority or a label is out of range.
        TooLargeError: The input is over its limit.
        ConflictError: The id or the idempotency key was used for another request.
        OverloadedError: Too much is under way, or too many come in; nothing was started.
        UnavailableError: The database did not take it in time; nothing was started.
    """
    _check(request)
    process = current()
    definition = process.resolve(request.namespace, request.name, request.version or "latest")
    if definition is None or not actor.sees(definition.namespace):
        definition = find_definition(request.namespace, request.name, request.version or "latest", actor=actor)
    birth = _birth(request, definition, process.clock.now())
    _admit(birth)
    answer = _Answer()
    work = process.stepper.begin(birth, answer)
    if not answer.arrives(PATIENCE_SECONDS):
        if work.withdraw():
            raise UnavailableError("the database did not answer; nothing was started")
        if not answer.arrives(PATIENCE_SECONDS):
            raise UnavailableError(
                "the database did not answer; the same request with the same key tells what became of it"
            )
    outcome = answer.wait()
    if outcome.error is not None:
        raise outcome.error
    if isinstance(outcome.view, InstanceView):
        return Started(outcome.view, created=True)
    return Started(_earlier(birth), created=False)


def _check(request: StartRequest) -> None:
    levels = settings.LEMLINE.execution.prioritization.levels
    if request.priority is not None and not 1 <= request.priority <= levels:
        message = f"{request.priority} is no priority: 1 (most urgent) to {levels}"
        raise InvalidRequestError(message, errors=({"parameter": "priority", "message": message},))
    limit = settings.LEMLINE.limits.input
    if len(request.input) > limit:
        raise TooLargeError(
            f"the input has {len(request.input)} bytes, at most {limit} are taken (lemline.limits.input)"
        )
    for key, value in request.labels.items():
        if not key or len(key) > 63 or len(value) > 255 or "\x00" in key + value:
            message = f"label {key[:63]!r}: a key has 1 to 63 characters and a value at most 255, none of them NUL"
            raise InvalidRequestError(message, errors=({"parameter": "label", "message": message},))


def _birth(request: StartRequest, definition: models.Definition, now: datetime) -> Birth:
    is_repeatable = request.idempotency_key is not None or request.instance_id is not None
    return Birth(
        instance_id=str(request.instance_id or uuid6.uuid7()),
        definition=definition.pk,
        namespace=definition.namespace,
        workflow=definition.name,
        version=definition.version,
        priority=request.priority or settings.LEMLINE.execution.prioritization.default_level,
        labels=msgspec.json.encode(dict(request.labels)).decode() if request.labels else "{}",
        input=request.input,
        created_at=now,
        start_at=request.start_at,
        idempotency_key=request.idempotency_key,
        request_digest=_digest(request) if is_repeatable else "",
        may_exist=is_repeatable,
    )


def _admit(birth: Birth) -> None:
    try:
        current().admission.ask(birth.created_at)
    except OverloadedError:
        # What was accepted before is no new start.
        if not birth.may_exist or _known(birth) is None:
            raise


def _digest(request: StartRequest) -> str:
    parts = (request.namespace, request.name, request.version or "", request.input.decode("utf-8", "replace"))
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _earlier(birth: Birth) -> InstanceView:
    """Return the instance that has the id or key already, if it came from the same request."""
    known = _known(birth)
    if known is None:
        raise UnavailableError("the instance with this key was removed at this moment; send the request again")
    if known.request_digest != birth.request_digest:
        what = f"idempotency key {birth.idempotency_key!r}" if birth.idempotency_key else f"id {birth.instance_id}"
        raise ConflictError(f"the {what} was used for another request (instance {known.pk})")
    return _view(known)


def _known(birth: Birth) -> models.Instance | None:
    known = models.Instance.objects.filter(pk=birth.instance_id).first()
    if known is None and birth.idempotency_key is not None:
        known = models.Instance.objects.filter(
            namespace=birth.namespace, workflow=birth.workflow, idempotency_key=birth.idempotency_key
        ).first()
    return known


def get_instance(instance_id: UUID | str, *, actor: Actor, wait_seconds: float = 0) -> InstanceView:
    """Return an instance, once it has ended or so many seconds have gone by."""
    row = _find(instance_id, actor)
    if row.ended_at is None and wait_seconds:
        _await_end(str(row.pk), wait_seconds)
        row = _find(instance_id, actor)
    return _view(row)


def _await_end(instance_id: str, seconds: float) -> None:
    began = time.monotonic()
    with current().endings.expecting(instance_id) as ended:
        while True:
            if models.Instance.objects.filter(pk=instance_id, ended_at__isnull=False).exists():
                return
            gone = time.monotonic() - began
            pause = min(max(FIRST_LOOK_SECONDS, gone * LOOK_SHARE), LAST_LOOK_SECONDS)
            if gone >= seconds or ended.wait(min(pause, seconds - gone)):
                return


def list_instances(wanted: InstanceFilter, *, actor: Actor, limit: int, cursor: str | None) -> Page[InstanceView]:
    """Return instances, the newest first."""
    return read_instances(wanted, actor=actor, limit=limit, cursor=cursor)


def history(instance_id: UUID, *, actor: Actor, limit: int, cursor: str | None) -> HistoryView:
    """Return what happened to an instance."""
    row = _find(instance_id, actor)
    return read_history(row, lookup=current().definitions.get, limit=limit, cursor=cursor)


def suspend(
    instance_id: UUID, *, actor: Actor, reason: str = "", resume_after: timedelta | None = None
) -> InstanceView:
    """Have an instance begin nothing new; with `resume_after`, for so long."""
    now = current().clock.now()
    resume_at = None if resume_after is None else _later(now, resume_after)
    fact = facts.SuspendRequested(at=now, reason=reason, by=actor.name, resume_at=resume_at)
    return _apply(
        "suspend", instance_id, fact, actor, reason, from_=("pending", "running", "waiting"), there=("suspended",)
    )


def _later(now: datetime, duration: timedelta) -> datetime:
    try:
        return now + duration
    except OverflowError as error:
        message = "that is after the year 9999"
        raise InvalidRequestError(message, errors=({"pointer": "/resumeAfter", "message": message},)) from error


def resume(instance_id: UUID, *, actor: Actor, reason: str = "") -> InstanceView:
    """Have a suspended instance go on."""
    fact = facts.ResumeRequested(at=current().clock.now(), reason=reason, by=actor.name)
    return _apply(
        "resume", instance_id, fact, actor, reason, from_=("suspended",), there=("pending", "running", "waiting")
    )


def cancel(instance_id: UUID, *, actor: Actor, reason: str = "") -> InstanceView:
    """End an instance now."""
    fact = facts.CancelRequested(at=current().clock.now(), reason=reason, by=actor.name)
    return _apply("cancel", instance_id, fact, actor, reason, from_=models.OPEN_STATUSES, there=("cancelled",))


def retry(
    instance_id: UUID,
    *,
    actor: Actor,
    source: str = "failed",
    input: bytes | None = None,
    reason: str = "",
    verb: str = "retry",
) -> InstanceView:
    """Take a faulted or cancelled instance up again.

    Args:
        instance_id: Which.
        actor: Who wants it.
        source: `failed`, `beginning`, or a position.
        input: JSON text of an edited raw input; None for the recorded one.
        reason: For the history.
        verb: What they call it, for the audit.

    Raises:
        OperationRefusedError: It is neither faulted nor cancelled, or the position cannot be entered.
    """
    _must_allow(verb, _find(instance_id, actor), ("faulted", "cancelled"))
    given = _recorded_input(instance_id, source) if input is None else decode(input)
    fact = facts.RetryRequested(at=current().clock.now(), source=source, input=given, reason=reason, by=actor.name)
    return _apply(verb, instance_id, fact, actor, reason, from_=("faulted", "cancelled"), there=())


def _recorded_input(instance_id: UUID, source: str) -> object:
    if not source.startswith("/"):
        return msgspec.UNSET
    runs = models.History.objects.filter(instance=instance_id, is_phase=False, position=source)
    last = runs.order_by("-step", "-ordinal").values_list("input", flat=True).first()
    if last is None:
        raise OperationRefusedError(f"no run of {source} is recorded; give the input to enter it with")
    given = decode(bytes(last))
    if is_left_out(given):
        raise OperationRefusedError(f"the input of {source} was too large for the history; give it")
    return given


def _apply(
    verb: str,
    instance_id: UUID,
    fact: facts.Fact,
    actor: Actor,
    reason: str,
    *,
    from_: tuple[str, ...],
    there: tuple[str, ...],
) -> InstanceView:
    """Apply an operator's fact to an instance whose phase allows it, and record who did it."""
    _check_reason(reason)
    row = _find(instance_id, actor)
    if row.status in there:
        return _view(row)
    _must_allow(verb, row, from_)
    answer = _Answer()
    current().stepper.submit(str(row.pk), fact, answer)
    if not answer.arrives(PATIENCE_SECONDS):
        raise UnavailableError("the database did not answer; the request will be applied when it does")
    outcome = answer.wait()
    if outcome.error is not None:
        raise outcome.error
    row = _find(instance_id, actor)
    if not outcome.changed and row.status not in there:
        raise _refused(verb, row, from_)
    record(actor, f"instance.{verb}", str(row.pk), reason, fact.at)
    return _view(row)


def _must_allow(verb: str, row: models.Instance, from_: tuple[str, ...]) -> None:
    if row.status not in from_:
        raise _refused(verb, row, from_)


def _refused(verb: str, row: models.Instance, from_: tuple[str, ...]) -> OperationRefusedError:
    return OperationRefusedError(
        f"{verb} is not possible while the instance is {row.status}, only when it is {' or '.join(from_)}"
    )


def _check_reason(reason: str) -> None:
    if "\x00" in reason:
        message = "a NUL is not possible in a reason"
        raise InvalidRequestError(message, errors=({"pointer": "/reason", "message": message},))


def _find(instance_id: UUID | str, actor: Actor) -> models.Instance:
    row = models.Instance.objects.filter(pk=instance_id).first()
    if row is None:
        raise NotFoundError(f"the instance {instance_id} does not exist")
    actor.must_see(row.namespace, f"the instance {instance_id}")
    return row


def _view(row: models.Instance) -> InstanceView:
    stored = None
    if row.ended_at is None:
        stored = models.Checkpoint.objects.filter(instance=row.pk).values_list("state", flat=True).first()
    return instance_view(row, None if stored is None else bytes(stored))


class _Answer:
    """Waits for the stepper's answer to one fact."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._outcome = Outcome(changed=False)

    def __call__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._arrived.set()

    def arrives(self, seconds: float) -> bool:
        """Return whether it came within so many seconds."""
        return self._arrived.wait(seconds)

    def wait(self) -> Outcome:
        """Return the outcome, however long it takes."""
        self._arrived.wait()
        return self._outcome
