"""What is old enough to go: ended instances with all that is theirs, received events, audit entries.

Rows go in small transactions, the oldest first, with a pause after each that grows with how long it took: where the
database is busy, this gives way. Any number of processes may run it at once; what one has in hand, others pass over.

An instance goes only under its lock, like everything that is written of it (docs/architecture.md, part 4). Some are
kept however old they are: those whose parent is open, and those that a parent or an own child still has to hear of.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from workflows import models
from workflows.dsl.jsontext import Json
from workflows.runtime.audit import Actor, record
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.process import current

log = logging.getLogger("lemline.retention")

INSTANCES = 200
"""Instances of one transaction, at most."""

ROWS = 2000
"""Rows of another table in one transaction, at most. What is more of one instance takes several."""

LOOK_SECONDS = 60.0
"""Pause between looks. A look that finds nothing costs an index probe per table."""

REST = 2.0
"""Rest after a transaction, as a multiple of the time that it took: a third of one connection's time is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """How many rows went, by table."""

    instances: int = 0
    history: int = 0
    events: int = 0
    rejected: int = 0
    keys: int = 0
    """What events were kept under for listeners that came later."""

    fires: int = 0
    heard: int = 0
    gatherings: int = 0
    """Events that were gathered for starts that never came."""

    audit: int = 0

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(**{name: count + getattr(other, name) for name, count in self.counts().items()})

    def __bool__(self) -> bool:
        return any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Return them by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to_json(self) -> dict[str, Json]:
        """Return them as the doors show them."""
        return dict(self.counts())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How long things are kept."""

    instances: timedelta
    """From their end."""

    events: timedelta
    fires: timedelta
    """What schedules started, and for which due time."""

    gatherings: timedelta
    """Since an event was added."""

    audit: timedelta


def configured() -> Ages:
    """Return the ages that the configuration says."""
    config = settings.LEMLINE
    return Ages(
        instances=config.workflow.cleanup_after,
        events=config.events.retention,
        fires=config.schedules.retention,
        gatherings=config.schedules.gathering_retention,
        audit=config.audit.retention,
    )


class Retention:
    """A thread that removes what is old enough, as long as the process lives."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin to look, where `lemline.workflow.auto-cleanup` allows it."""
        if settings.LEMLINE.workflow.auto_cleanup:
            self._thread.start()

    def stop(self) -> None:
        """End after the transaction in hand."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                remove(removals(configured(), self._clock.now()), self._stopped.wait)
            except DatabaseError as error:
                log.warning("retention.waits", extra={"error": str(error)})
            except Exception:
                # Nothing is lost by looking again, and everything would be kept for ever without this thread.
                log.exception("retention.failed")


def clean_up(*, actor: Actor, dry_run: bool = False) -> Removed:
    """Remove now what is old enough, or only count it.

    Args:
        actor: Who wants it.
        dry_run: Count what would go; history is that of the instances.
    """
    process = current()
    process.clock.set(process.records.now())
    now = process.clock.now()
    if dry_run:
        return sum(counts(configured(), now), Removed())
    removed = remove(removals(configured(), now), _rest)
    told = ", ".join(f"{count} {name}" for name, count in removed.counts().items())
    record(actor, "retention.cleanup", told, "", now)
    return removed


def _rest(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def remove(batches: Iterator[Removed], rest: Callable[[float], bool]) -> Removed:
    """Let batch after batch happen, with a rest after each.

    Args:
        batches: Each is removed by the time it is yielded.
        rest: Waits for so many seconds; whether to stop.
    """
    total = Removed()
    began = time.monotonic()
    for batch in batches:
        total += batch
        if rest(REST * (time.monotonic() - began)):
            break
        began = time.monotonic()
    if total:
        log.info("retention.removed", extra=total.counts())
    return total


def removals(ages: Ages, now: datetime) -> Iterator[Removed]:
    """Remove all that is old enough at a time; yield after each transaction what it removed."""
    for candidates in _walk(now - ages.instances):
        yield from _remove_instances(candidates)
    while events := _remove_rows(_old_events(ages, now), "received_at"):
        yield Removed(events=events)
    while rejected := _remove_rows(_old_rejected(ages, now), "at"):
        yield Removed(rejected=rejected)
    while keys := _remove_keys(now):
        yield Removed(keys=keys)
    while fires := _remove_rows(_old_fires(ages, now), "at"):
        yield Removed(fires=fires)
    while heard := _remove_rows(_old_heard(ages, now), "at"):
        yield Removed(heard=heard)
    while gatherings := _remove_gatherings(_old_gatherings(ages, now)):
        yield Removed(gatherings=gatherings)
    while entries := _remove_rows(_old_entries(ages, now), "at"):
        yield Removed(audit=entries)


def counts(ages: Ages, now: datetime) -> Iterator[Removed]:
    """Count the same, part by part, and remove nothing."""
    for candidates in _walk(now - ages.instances):
        with transaction.atomic():
            ids = _free(candidates)
        history = models.History.objects.filter(instance__in=ids).count()
        yield Removed(instances=len(ids), history=history)
    yield Removed(
        events=_old_events(ages, now).count(),
        rejected=_old_rejected(ages, now).count(),
        keys=models.EventKey.objects.filter(expires_at__lt=now).count(),
        fires=_old_fires(ages, now).count(),
        heard=_old_heard(ages, now).count(),
        gatherings=_old_gatherings(ages, now).count(),
        audit=_old_entries(ages, now).count(),
    )


def _old_events(ages: Ages, now: datetime) -> QuerySet[models.ReceivedEvent]:
    """Those that all whom they concern have been offered."""
    is_expired = Q(expires_at=None) | Q(expires_at__lt=now)
    is_pending = Exists(models.PendingEvent.objects.filter(event=OuterRef("pk")))
    return models.ReceivedEvent.objects.filter(is_expired, ~is_pending, received_at__lt=now - ages.events)


def _old_rejected(ages: Ages, now: datetime) -> QuerySet[models.RejectedMessage]:
    return models.RejectedMessage.objects.filter(at__lt=now - ages.events)


def _remove_keys(now: datetime) -> int:
    old = models.EventKey.objects.filter(expires_at__lt=now).order_by("expires_at")
    found = list(old.values_list("match", "event")[:ROWS])
    return models.EventKey.objects.filter(pk__in=found).delete()[0] if found else 0


def _old_fires(ages: Ages, now: datetime) -> QuerySet[models.Fire]:
    return models.Fire.objects.filter(at__lt=now - ages.fires)


def _old_heard(ages: Ages, now: datetime) -> QuerySet[models.HeardEvent]:
    """Whose event has gone as well, so that nobody offers it again."""
    return models.HeardEvent.objects.filter(at__lt=now - 2 * ages.events)


def _old_gatherings(ages: Ages, now: datetime) -> QuerySet[models.Gathering]:
    return models.Gathering.objects.filter(changed_at__lt=now - ages.gatherings)


def _remove_gatherings(old: QuerySet[models.Gathering]) -> int:
    """Those of schedules that nobody has in hand, under the lock of these: whoever gathers must not lose what he adds
    to.
    """
    with transaction.atomic():
        found = set(old.order_by("changed_at").values_list("schedule", flat=True)[:ROWS])
        free = models.Schedule.objects.filter(pk__in=found).order_by("pk").select_for_update(skip_locked=True)
        ids = list(old.filter(schedule__in=list(free)).order_by("changed_at").values_list("pk", flat=True)[:ROWS])
        return old.filter(pk__in=ids).delete()[0] if ids else 0


def _old_entries(ages: Ages, now: datetime) -> QuerySet[models.AuditEntry]:
    return models.AuditEntry.objects.filter(at__lt=now - ages.audit)


def _remove_rows(old: QuerySet[Any], by: str) -> int:
    with transaction.atomic():
        found = old.order_by(by).select_for_update(skip_locked=True)[:ROWS]
        ids = list(found.values_list("pk", flat=True))
        return old.filter(pk__in=ids).delete()[0] if ids else 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An instance that ended long ago."""

    id: UUID
    parent: UUID | None
    ended_at: datetime


def _walk(before: datetime) -> Iterator[list[_Candidate]]:
    """Yield the instances that ended before a time, the oldest first, each once: those that stay are not met again."""
    ended = models.Instance.objects.filter(ended_at__lt=before).order_by("ended_at", "pk")
    rest = ended
    while values := list(rest.values_list("pk", "parent", "ended_at")[:INSTANCES]):
        candidates = [_Candidate(key, parent, at) for key, parent, at in values if at is not None]
        last = candidates[-1]
        rest = ended.filter(ended_at__gte=last.ended_at).exclude(ended_at=last.ended_at, pk__lte=last.id)
        yield candidates


def _remove_instances(candidates: Sequence[_Candidate]) -> Iterator[Removed]:
    """Remove those of them that may go. A long history takes several transactions, the instance goes with the last."""
    while candidates:
        with transaction.atomic():
            ids = _free(candidates)
            history = _remove_history(ids)
            left = _with_history(ids) if history == ROWS else set()
            gone = [instance for instance in ids if instance not in left]
            # With the first of them: whose history has gone in part is not taken up again.
            models.Checkpoint.objects.filter(pk__in=ids).delete()
            models.Label.objects.filter(instance__in=gone).delete()
            models.Subscription.objects.filter(instance__in=gone).delete()
            models.Instance.objects.filter(pk__in=gone).delete()
        if ids:
            yield Removed(instances=len(gone), history=history)
        candidates = [each for each in candidates if each.id in left]


def _free(candidates: Sequence[_Candidate]) -> list[UUID]:
    """Lock those that may go, and return them. What somebody else has locked stays; he has it in hand."""
    ids = {each.id for each in candidates} | {each.parent for each in candidates if each.parent is not None}
    checkpoints = models.Checkpoint.objects.filter(pk__in=ids).order_by("pk")
    at_rest = Q(parked=True, has_open_work=False)
    locked = checkpoints.select_for_update(skip_locked=True).values_list("pk", flat=True)
    resting = set(locked.filter(at_rest))
    # Of an open instance there is always one, and of an ended one while somebody has to hear of its end.
    kept = set(checkpoints.values_list("pk", flat=True)) - resting
    wanted = [each.id for each in candidates if each.id not in kept and each.parent not in kept]
    latest = max((each.ended_at for each in candidates), default=None)
    # Looked at again under the lock: what was retried in between may have ended anew.
    rows = models.Instance.objects.filter(pk__in=wanted, ended_at__lte=latest).order_by("pk")
    return list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))


def _remove_history(ids: Sequence[UUID]) -> int:
    rows = models.History.objects.filter(instance__in=ids)
    return models.History.objects.filter(pk__in=rows.values("pk")[:ROWS]).delete()[0]


def _with_history(ids: Sequence[UUID]) -> set[UUID]:
    return set(models.History.objects.filter(instance__in=ids).values_list("instance", flat=True).distinct())
