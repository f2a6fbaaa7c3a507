"""CloudEvents that were accepted, and who wants some."""

from django.db import models
from django.db.models import Q


class ReceivedEvent(models.Model):
    """A CloudEvent that was accepted. Accepted means stored, once per scope, source and id."""

    scope = models.CharField(max_length=63, default="")
    """The namespace that it lives in; empty on the bus that all share (`lemline.events.scope`)."""

    source = models.TextField()
    event_id = models.TextField()
    type = models.TextField()
    event = models.BinaryField()
    """The CloudEvent in JSON format."""

    received_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    """Until when it is kept for listeners that come later."""

    by = models.CharField(max_length=150, default="")
    """Who brought it: an API key, a bridge, a webhook; `emit` for an instance."""

    class Meta:
        """The unique key makes receiving idempotent."""

        constraints = (models.UniqueConstraint(fields=("scope", "source", "event_id"), name="event_once"),)
        indexes = (models.Index(fields=("received_at",), name="event_received"),)

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class PendingEvent(models.Model):
    """An event that has not been offered to all whom it concerns. Written with the event, gone when it has been.

    A row of its own, so that what is done costs a small deletion and no second version of the event.
    """

    pk = models.CompositePrimaryKey("lane", "event")
    lane = models.SmallIntegerField()
    """Where it queues: events of one source share a lane (`runtime/event_rows.py`)."""

    event = models.BigIntegerField()
    """Its row's id. Within a lane they are worked on in this order, which is that of acceptance."""

    def __str__(self) -> str:
        return f"event {self.event} in lane {self.lane}"


class Interest(models.Model):
    """What many subscriptions share: which type and source they want, and by which values they tell events apart.

    There are as many as definitions have different filters, so they stay.
    """

    digest = models.CharField(max_length=32, primary_key=True)
    """Hash of the rest."""

    type = models.TextField()
    """Empty for those who look at every event."""

    text = models.TextField()
    """The engine's `Interest`, as JSON."""

    kept = models.BooleanField()
    """Whether events are kept for subscriptions that come later: they stand in `EventKey`."""

    indexed = models.BooleanField(default=False)
    """Whether the events that were there before it stand there, too."""

    class Meta:
        """Found by the type of an event."""

        indexes = (models.Index(fields=("type",), name="interest_type"),)

    def __str__(self) -> str:
        return f"{self.type or 'anything'} {self.digest}"


class Subscription(models.Model):
    """A filter of an open `listen`, or of a definition's `schedule.on`. Written and removed with the step or the
    schedule that it belongs to.
    """

    match = models.UUIDField()
    """Hash of the interest, the scope and the values that an event must have: what it is found by
    (`runtime/interests.py`)."""

    interest = models.CharField(max_length=32)
    instance = models.UUIDField(null=True)
    wait = models.CharField(max_length=32, default="")
    schedule = models.BigIntegerField(null=True)
    since = models.DateTimeField(null=True)
    """Events received earlier are not for it; null for one that is offered what was kept."""

    class Meta:
        """Found by what an event is hashed to, and by what it belongs to."""

        indexes = (
            models.Index(fields=("match",), name="subscription_match"),
            models.Index(fields=("instance", "wait"), condition=Q(instance__isnull=False), name="subscription_of_wait"),
            models.Index(fields=("schedule",), condition=Q(schedule__isnull=False), name="subscription_of_schedule"),
        )

    def __str__(self) -> str:
        return f"{self.wait} of {self.instance}" if self.schedule is None else f"schedule {self.schedule}"


class LookBack(models.Model):
    """A `listen` that has begun and has not been offered yet what came before it. Until then it is offered nothing."""

    instance = models.UUIDField()
    wait = models.CharField(max_length=32)
    after = models.BigIntegerField(db_default=0, default=0)
    """The last event that it has been offered of those that came before."""

    class Meta:
        """Asked for with every subscription that an event is found to concern."""

        indexes = (models.Index(fields=("instance", "wait"), name="look_back_of_wait"),)

    def __str__(self) -> str:
        return f"{self.wait} of {self.instance}"


class EventKey(models.Model):
    """Under which hash an event that has been offered to all is found by subscriptions that come later."""

    pk = models.CompositePrimaryKey("match", "event")
    match = models.UUIDField()
    event = models.BigIntegerField()
    expires_at = models.DateTimeField()

    class Meta:
        """Removed when its time is over."""

        indexes = (models.Index(fields=("expires_at",), name="event_key_expires"),)

    def __str__(self) -> str:
        return f"{self.match} {self.event}"
