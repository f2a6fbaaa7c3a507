"""Offers those who begin to listen what came before: an event and a listener may be stored at the same moment, each by
a transaction that cannot see the other.

Whoever works on an event looks for listeners after it was accepted; here is looked for events after the listener was
stored. So one of the two sees the other. A listener is offered nothing new before this is over, since it would hear the
fifty-first event before the first: whoever finds it behind sees to this first.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from workflows import models
from workflows.dsl.jsontext import decode
from workflows.runtime.clock import DatabaseClock
from workflows.runtime.event_lanes import Lanes
from workflows.runtime.event_sql import as_uuid, marks, moment, spelled
from workflows.runtime.interests import Interests, match_of
from workflows.runtime.listeners import Arrival, Listener, hashed, learn, read_arrival, write_keys
from workflows.runtime.offering import Offering
from workflows.runtime.subscriptions import Wait

log = logging.getLogger("lemline.events")

TOGETHER = 200
"""Listeners of one transaction at most."""

PAGES = 10
"""Pages of one transaction at most."""

PAGE = 500
"""Events read at once."""

LONGEST_STEP = timedelta(minutes=1)
"""How long after a listener's beginning its step may be committed. What is accepted later than that finds it."""


class LookBacks:
    """One process's way to look back."""

    def __init__(self, lanes: Lanes, interests: Interests, offering: Offering, clock: DatabaseClock) -> None:
        self._lanes = lanes
        self._interests = interests
        self._offering = offering
        self._clock = clock

    def catch_up(self, only: Sequence[Wait] = ()) -> int:
        """Offer what came before to those who have just begun, and return how many listeners that were.

        Args:
            only: These, waiting for others who see to them; or else any that nobody sees to.
        """
        with self._lanes.beside():
            rows = self._claim(only)
            if not rows:
                return 0
            # In this order: what waits in a lane after this is worked on by somebody who sees these listeners, and
            # what does not is found now.
            self._lanes.hold_pending()
            listeners = self._listeners(rows)
            self._index({row.interest for row in listeners if row.since is None})
            claimed = models.LookBack.objects.filter(pk__in=[row.pk for row in rows])
            left_at = self._offer_kept(listeners)
            if left_at is None:
                self._offer_recent([row for row in listeners if row.since is not None])
                claimed.delete()
            else:
                claimed.filter(after__lt=left_at).update(after=left_at)
        return len(rows)

    def _claim(self, only: Sequence[Wait]) -> list[models.LookBack]:
        rows = models.LookBack.objects.order_by("pk")
        if only:
            wanted = set(only)
            found = rows.filter(instance__in={instance for instance, _ in only}).select_for_update()
            return [row for row in found if (str(row.instance), row.wait) in wanted]
        return list(rows.select_for_update(skip_locked=True)[:TOGETHER])

    def _listeners(self, rows: Iterable[models.LookBack]) -> list[models.Subscription]:
        waits = {(row.instance, row.wait) for row in rows}
        found = models.Subscription.objects.filter(instance__in={instance for instance, _ in waits})
        return [row for row in found if (row.instance, row.wait) in waits]

    def _index(self, digests: Iterable[str]) -> None:
        """Have the events be found by interests that are new which were there before them."""
        fresh = models.Interest.objects.filter(pk__in=digests, kept=True, indexed=False).order_by("pk")
        for row in fresh.select_for_update():
            self._interests.learn([(row.digest, row.text, row.kept)])
            known = self._interests.named(row.digest)
            kept = models.ReceivedEvent.objects.filter(expires_at__gt=self._clock.now())
            if row.type:
                kept = kept.filter(type=row.type)
            for arrival in map(read_arrival, _done(kept).iterator(chunk_size=PAGE)):
                key = self._interests.key(known, arrival.event)
                if key is not None:
                    write_keys([(match_of(row.digest, arrival.scope, key), arrival)])
            row.indexed = True
            row.save(update_fields=("indexed",))

    def _offer_kept(self, listeners: Iterable[models.Subscription]) -> int | None:
        """Offer what is kept to those who want that, page by page: what they have taken may change what they want.

        Returns the event after which it stopped, None when nothing is left. It stops in between to have written how far
        it came: if it were cut off, only so much is offered again.
        """
        waits = {(row.instance, row.wait) for row in listeners if row.since is None}
        instances = [spelled(instance) for instance, _ in waits if instance is not None]
        after = (0, 0)
        for _ in range(PAGES if instances else 0):
            with connection.cursor() as cursor:
                cursor.execute(_KEPT.format(instances=marks(instances)), [*instances, self._clock.now(), *after, PAGE])
                found = cursor.fetchall()
            heard: dict[Wait, list[Arrival]] = defaultdict(list)
            for key, _, instance, wait, scope, received_at, text in found:
                if (as_uuid(instance), wait) in waits:
                    arrival = Arrival(key, scope, moment(received_at), None, decode(bytes(text)))
                    heard[str(as_uuid(instance)), wait].append(arrival)
            self._offering.offer(heard)
            if len(found) < PAGE:
                return None
            after = found[-1][:2]
        # Others may have to hear of the last one.
        return after[0] - 1 if instances else None

    def _offer_recent(self, listeners: Sequence[models.Subscription]) -> None:
        """Offer what was accepted between the beginning of a listener and the commit that made it known."""
        begun = [row.since for row in listeners if row.since is not None]
        if not begun:
            return
        types = {row.type for row in models.Interest.objects.filter(pk__in={row.interest for row in listeners})}
        recent = models.ReceivedEvent.objects.filter(
            received_at__gte=min(begun), received_at__lt=max(begun) + LONGEST_STEP
        )
        if "" not in types:
            recent = recent.filter(type__in=types)
        arrivals = list(map(read_arrival, _done(recent)))
        if arrivals:
            learn(sorted({row.interest for row in listeners}), self._interests)
            audience = hashed(arrivals, self._interests)
            audience.listeners = [
                Listener(row.match, (str(row.instance), row.wait), None, row.since, False) for row in listeners
            ]
            self._offering.offer(audience.heard(arrivals))


_KEPT = (
    "SELECT k.event, s.id, s.instance, s.wait, e.scope, e.received_at, e.event FROM workflows_subscription s"
    " JOIN workflows_lookback b ON b.instance = s.instance AND b.wait = s.wait"
    " JOIN workflows_eventkey k ON k.match = s.match AND k.event > b.after"
    " JOIN workflows_receivedevent e ON e.id = k.event"
    " WHERE s.instance IN ({instances}) AND s.since IS NULL AND k.expires_at > %s AND (k.event, s.id) > (%s, %s)"
    " ORDER BY k.event, s.id LIMIT %s"
)


def _done(events: QuerySet[models.ReceivedEvent]) -> QuerySet[models.ReceivedEvent]:
    """Those that have been offered to all who listened then, in their order."""
    return events.filter(~Exists(models.PendingEvent.objects.filter(event=OuterRef("pk")))).order_by("pk")
