"""Sinks, and the events that they did not take."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import models
from workflows.readonly import ReadOnlyAdmin, moment, shown
from workflows.runtime import lost_events, sinks
from workflows.steering import steer_rows


@admin.register(models.Sink)
class SinkAdmin(ReadOnlyAdmin):
    """Sinks, and how they stand."""

    namespace_path = "namespace"
    list_display = ("name", "url", "kinds_line", "status", "waiting", "dead_letters", "delivered", "problem")
    search_fields = ("name", "url")
    ordering = ("name",)
    fields = (
        "name", "url", "mode", "kinds_line", "namespace", "workflow", "filter", "secret", "credentials", "status",
        "problem", "failures", "resting_until", "waiting", "dead_letters", "delivered", "delivered_at", "created_at",
        "created_by",
    )  # fmt: skip
    readonly_fields = ("kinds_line", "status", "waiting", "dead_letters")

    @admin.display(description="wants")
    def kinds_line(self, row: models.Sink) -> str:
        """What it wants."""
        return ", ".join(row.kinds)

    @admin.display(description="status")
    def status(self, row: models.Sink) -> str:
        """Whether it takes events, and when it is tried again."""
        return f"away, tried again at {moment(row.resting_until)}" if row.failures else "ready"

    @admin.display(description="waiting")
    def waiting(self, row: models.Sink) -> str:
        """How many events, and since when."""
        view = sinks.view_of(row)
        return f"{view.waiting}, since {moment(view.waiting_since)}" if view.waiting else "0"

    @admin.display(description="dead letters")
    def dead_letters(self, row: models.Sink) -> str | SafeString:
        """How many, and the way to them."""
        count = sinks.view_of(row).dead_letters
        page = reverse("admin:workflows_lostevent_changelist")
        return format_html('<a href="{}?sink={}">{}</a>', page, row.pk, count) if count else "0"


@admin.register(models.LostEvent)
class LostEventAdmin(ReadOnlyAdmin):
    """Dead letters among events: refused by a sink that takes others."""

    namespace_path = "namespace"
    list_display = ("type", "event_id", "sink_name", "instance_link", "attempts", "problem", "given_up")
    search_fields = ("=instance", "=event_id", "=type")
    search_help_text = "Instance, id of the event or its type, whole"
    ordering = ("-given_up_at", "-id")
    actions = ("redeliver",)
    fields = (
        "type", "event_id", "source", "kind", "sink_name", "instance_link", "attempts", "problem", "created_at",
        "given_up", "content",
    )  # fmt: skip
    readonly_fields = ("sink_name", "instance_link", "given_up", "content")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Let the page of sinks lead to those of one."""
        return lookup == "sink" or super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Those that were given up."""
        return super().get_queryset(request).filter(given_up_at__isnull=False)

    @admin.action(description="Redeliver", permissions=["steer"])
    def redeliver(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Have them sent again."""
        return steer_rows(self, request, queryset, "redeliver", lost_events.redeliver_event)

    @admin.display(description="sink", ordering="sink")
    def sink_name(self, row: models.OutgoingEvent) -> str:
        """Its name."""
        found = models.Sink.objects.filter(pk=row.sink).first()
        return found.name if found else "-"

    @admin.display(description="instance")
    def instance_link(self, row: models.OutgoingEvent) -> SafeString:
        """The way to the instance."""
        page = reverse("admin:workflows_instance_change", args=(row.instance,))
        return format_html('<a href="{}"><code>{}</code></a>', page, row.instance)

    @admin.display(description="given up", ordering="given_up_at")
    def given_up(self, row: models.OutgoingEvent) -> str:
        """To the second."""
        return moment(row.given_up_at)

    @admin.display(description="event")
    def content(self, row: models.OutgoingEvent) -> SafeString | str:
        """The CloudEvent."""
        return shown(row.event)
