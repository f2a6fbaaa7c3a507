"""Schedules and what they started; and django-celery-beat's mirror of them, in which nothing can be set."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from workflows import models
from workflows.readonly import ReadOnlyAdmin, moment
from workflows.runtime import schedules
from workflows.runtime.audit import Actor
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.schedules import LAST_FIRES
from workflows.steering import steer_rows

MIRRORED = "lemline.look"
"""The job of rows that mirror a schedule."""


@admin.register(models.Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Schedules, with their next and last starts; and four verbs."""

    namespace_path = "namespace"
    list_display = ("workflow_line", "kind", "text", "time_zone", "status", "next_start", "last_start", "fires")
    list_filter = ("kind", "catch_up")
    search_fields = ("=namespace", "workflow")
    search_help_text = "Namespace or workflow"
    ordering = ("namespace", "workflow")
    actions = ("pause", "resume", "trigger", "backfill")
    fields = (
        "workflow_line", "kind", "text", "time_zone", "catch_up", "status", "next_start", "awaited", "last_start",
        "fires", "missed_at", "last_instances", "created_at",
    )  # fmt: skip
    readonly_fields = ("workflow_line", "status", "next_start", "last_start", "last_instances")

    @admin.action(description="Pause", permissions=["steer"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Have them start nothing."""
        return steer_rows(self, request, queryset, "pause", schedules.pause)

    @admin.action(description="Resume", permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Let them go on."""
        return steer_rows(self, request, queryset, "resume", schedules.resume)

    @admin.action(description="Start now", permissions=["steer"])
    def trigger(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Start an instance of each."""
        return steer_rows(self, request, queryset, "trigger", schedules.trigger)

    @admin.action(description="Backfill a past window", permissions=["steer"])
    def backfill(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Start what each should have started in a window, and did not."""

        def run(key: int, *, actor: Actor, reason: str) -> None:
            schedules.backfill(key, _moment(request, "from"), _moment(request, "to"), actor=actor, reason=reason)

        return steer_rows(self, request, queryset, "backfill", run, {"from": "From (UTC)", "to": "To (UTC)"})

    @admin.display(description="workflow", ordering="workflow")
    def workflow_line(self, row: models.Schedule) -> str:
        """Whose it is."""
        return f"{row.namespace}/{row.workflow}:{row.version}"

    @admin.display(description="status", ordering="paused_at")
    def status(self, row: models.Schedule) -> str:
        """Whether it starts anything, and who said that it should not."""
        return f"paused by {row.paused_by} at {moment(row.paused_at)}" if row.paused_at else "active"

    @admin.display(description="next start", ordering="due_at")
    def next_start(self, row: models.Schedule) -> str:
        """To the second."""
        return "-" if row.paused_at else moment(row.due_at)

    @admin.display(description="last start", ordering="fired_at")
    def last_start(self, row: models.Schedule) -> str:
        """To the second."""
        return moment(row.fired_at)

    @admin.display(description="last instances")
    def last_instances(self, row: models.Schedule) -> SafeString:
        """The ways to them."""
        fires = schedules.last_fires(row, LAST_FIRES)
        return format_html("<br>".join(["{}"] * len(fires)), *map(_line, fires)) if fires else format_html("-")


def _moment(request: HttpRequest, name: str) -> datetime:
    text = request.POST.get(name, "")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {text!r} is no time; write e.g. 2026-11-26T09:00") from error


def _line(fire: models.Fire) -> SafeString:
    page = reverse("admin:workflows_instance_change", args=(fire.instance,))
    due = f", due {moment(fire.due_at)}" if fire.due_at else ""
    return format_html('{} {}{} <a href="{}"><code>{}</code></a>', moment(fire.at), fire.sort, due, page, fire.instance)


class MirroredTaskAdmin(PeriodicTaskAdmin):  # type: ignore[misc]  # has no types
    """The page of periodic tasks, in which those of schedules can be read only."""

    def has_change_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        """Say no for a mirror: whatever was set there would have no effect."""
        return not _is_mirror(obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        """Likewise."""
        return not _is_mirror(obj) and bool(super().has_delete_permission(request, obj))


def _is_mirror(task: PeriodicTask | None) -> bool:
    return task is not None and task.task == MIRRORED


admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, MirroredTaskAdmin)
