"""Events that were received, bridges that bring some, and messages that are no event."""

import base64
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import models
from workflows.readonly import ReadOnlyAdmin, moment, namespaces_of, shown
from workflows.runtime.reception import seen_by

_MOST_SHOWN = 20_000
"""Bytes of a body on its page."""


@admin.register(models.ReceivedEvent)
class ReceivedEventAdmin(ReadOnlyAdmin):
    """CloudEvents that were accepted, the newest first."""

    namespace_path = "scope"
    list_display = ("received", "type", "source", "event_id", "scope", "by")
    list_display_links = ("received", "event_id")
    search_fields = ("=event_id", "=source")
    search_help_text = "Id or source, whole"
    ordering = ("-id",)
    fields = ("received", "type", "source", "event_id", "scope", "by", "expires_at", "content")
    readonly_fields = ("received", "content")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Show the shared bus to everybody."""
        return seen_by(namespaces_of(request)).order_by(*self.ordering)

    @admin.display(description="received", ordering="id")
    def received(self, row: models.ReceivedEvent) -> str:
        """To the second."""
        return moment(row.received_at)

    @admin.display(description="event")
    def content(self, row: models.ReceivedEvent) -> SafeString | str:
        """As it was accepted."""
        return shown(row.event)


@admin.register(models.Bridge)
class BridgeAdmin(ReadOnlyAdmin):
    """Who takes from which broker, and what is in the way."""

    list_display = ("name", "taken_by", "received", "rejected", "last", "problem")
    fields = ("name", "taken_by", "received", "rejected", "last", "problem")
    readonly_fields = ("taken_by", "last")

    @admin.display(description="taken by")
    def taken_by(self, row: models.Bridge) -> str:
        """The process, as it is called in the log."""
        return row.holder if row.held_until else "-"

    @admin.display(description="last message", ordering="at")
    def last(self, row: models.Bridge) -> str:
        """To a few seconds."""
        return moment(row.at)


@admin.register(models.RejectedMessage)
class RejectedMessageAdmin(ReadOnlyAdmin):
    """What came over a bridge and is no event, the newest first."""

    list_display = ("when", "bridge", "place", "content_type", "reason")
    list_display_links = ("when", "place")
    search_fields = ("=bridge",)
    search_help_text = "Bridge"
    ordering = ("-id",)
    fields = ("when", "bridge", "place", "reason", "content_type", "header_lines", "content")
    readonly_fields = ("when", "header_lines", "content")

    @admin.display(description="rejected", ordering="id")
    def when(self, row: models.RejectedMessage) -> str:
        """To the second."""
        return moment(row.at)

    @admin.display(description="headers")
    def header_lines(self, row: models.RejectedMessage) -> SafeString | str:
        """As they came, as texts."""
        return shown(row.headers)

    @admin.display(description="body")
    def content(self, row: models.RejectedMessage) -> SafeString:
        """As text, or in base64 when it is none."""
        body = bytes(row.body)
        try:
            text = body.decode()
        except UnicodeError:
            text = f"base64: {base64.b64encode(body).decode()}"
        cut = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}\n… {len(body)} bytes in all"
        return format_html('<pre class="lemline-json">{}</pre>', cut)
