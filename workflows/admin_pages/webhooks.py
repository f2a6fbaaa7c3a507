"""Webhooks: what becomes of the JSON that others post."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from workflows import models
from workflows.dsl.jsontext import encode
from workflows.readonly import ReadOnlyAdmin, may, moment, shown
from workflows.runtime import webhooks
from workflows.steering import steer_rows


@admin.register(models.Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    """Webhooks by name; and one verb."""

    namespace_path = "namespace"
    list_display = ("name", "namespace", "path", "signed", "created", "created_by")
    search_fields = ("name", "=namespace")
    search_help_text = "Name or namespace"
    ordering = ("name",)
    actions = ("close",)
    fields = ("name", "namespace", "path", "condition", "what", "signature_lines", "created", "created_by")
    readonly_fields = ("path", "what", "signature_lines", "created")

    def has_close_permission(self, request: HttpRequest) -> bool:
        """Who may delete some."""
        return may(request, "editor")

    @admin.action(description="Delete", permissions=["close"])
    def close(self, request: HttpRequest, queryset: QuerySet[models.Webhook]) -> HttpResponse | None:
        """Close these doors."""
        return steer_rows(self, request, queryset, "delete", webhooks.delete_by_key)

    @admin.display(description="path")
    def path(self, row: models.Webhook) -> str:
        """Where it takes JSON."""
        return webhooks.path_of(row.name)

    @admin.display(description="let in by")
    def signed(self, row: models.Webhook) -> str:
        """Who may post."""
        return f"{row.signature['name'] or 'hmac'}, secret {row.signature['secret']}" if row.signature else "API key"

    @admin.display(description="created", ordering="created_at")
    def created(self, row: models.Webhook) -> str:
        """To the second."""
        return moment(row.created_at)

    @admin.display(description="mapping")
    def what(self, row: models.Webhook) -> SafeString | str:
        """As it was given."""
        return shown(row.mapping.encode())

    @admin.display(description="signature")
    def signature_lines(self, row: models.Webhook) -> SafeString | str:
        """How requests are signed: the secret by its name."""
        return shown(encode(row.signature)) if row.signature else "-"
