"""Admin pages: read everything, change nothing by hand; actions call the operations."""

import re
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workflows import models
from workflows.admin_pages import approvals as _approvals  # noqa: F401  (registers on import)
from workflows.admin_pages import events as _events  # noqa: F401  (registers on import)
from workflows.admin_pages import schedules as _schedules  # noqa: F401  (registers on import)
from workflows.admin_pages import sinks as _sinks  # noqa: F401  (likewise)
from workflows.admin_pages import webhooks as _webhooks  # noqa: F401  (registers on import)
from workflows.dsl.jsontext import decode
from workflows.readonly import ReadOnlyAdmin, may, moment, namespaces_of, shown
from workflows.runtime import accounts, dead_letters, operations
from workflows.runtime.operations import Actor, InstanceView
from workflows.runtime.records import unpack
from workflows.steering import actor_of, steer_rows

admin.site.site_header = admin.site.site_title = "Lemline"
admin.site.index_title = "Workflows and who runs them"

HISTORY_ROWS = 200

_VERBS = {
    "suspend": ("pending", "running", "waiting"),
    "resume": ("suspended",),
    "cancel": models.OPEN_STATUSES,
    "retry": ("faulted", "cancelled"),
}
"""Verb to the statuses in which it does something: the page offers no others."""

_UUID_START = re.compile(r"[0-9a-fA-F-]{4,36}")


class StatusFilter(admin.SimpleListFilter):
    """By status; a fixed list, so that nothing is counted or collected."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The DSL's phases."""
        return [(status, status) for status in (*models.OPEN_STATUSES, *models.FINAL_STATUSES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one."""
        return queryset.filter(status=self.value()) if self.value() else queryset


class WorkflowFilter(admin.SimpleListFilter):
    """By workflow; taken from the definitions, which are few, and not from the instances."""

    title = "workflow"
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The first hundred workflows by name."""
        rows = models.Definition.objects.current()
        namespaces = namespaces_of(request)
        if namespaces is not None:
            rows = rows.filter(namespace__in=namespaces)
        names = rows.values_list("namespace", "name").distinct().order_by("namespace", "name")[:100]
        return [(f"{namespace}/{name}",) * 2 for namespace, name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one."""
        namespace, _, name = (self.value() or "").partition("/")
        return queryset.filter(namespace=namespace, workflow=name) if name else queryset


@admin.register(models.Definition)
class DefinitionAdmin(ReadOnlyAdmin):
    """Definitions and their texts."""

    namespace_path = "namespace"
    list_display = ("namespace", "name", "version", "title", "is_current", "created", "created_by")
    list_filter = ("is_current",)
    search_fields = ("=namespace", "name", "=version", "title")
    search_help_text = "Namespace, name, version or title"
    ordering = ("-id",)
    fields = ("namespace", "name", "version", "digest", "is_current", "created", "created_by", "source")
    readonly_fields = ("created", "source")

    @admin.display(description="created", ordering="id")
    def created(self, row: models.Definition) -> str:
        """To the second."""
        return moment(row.created_at)

    @admin.display(description="text")
    def source(self, row: models.Definition) -> SafeString:
        """The text as it was given."""
        return format_html('<pre class="lemline-json">{}</pre>', row.text)


@admin.register(models.Instance)
class InstanceAdmin(ReadOnlyAdmin):
    """Instances, with what they do and have done; and the four verbs."""

    namespace_path = "namespace"
    change_form_template = "admin/workflows/instance/change_form.html"
    list_display = ("id_shown", "status_shown", "definition_line", "created", "ended")
    list_filter = (StatusFilter, WorkflowFilter, "created_at")
    search_fields = ("id",)
    search_help_text = "Start of an id, workflow, namespace/workflow, or label:value"
    ordering = ("-created_at", "-id")
    sortable_by = ("created",)
    actions = ("suspend", "resume", "cancel", "retry")
    fieldsets = (
        (None, {"fields": ("status_shown", "summary", "stands_at", "next_timer", "definition_link", "times")}),
        ("Data", {"fields": ("problem_shown", "input_shown", "output_shown", "context_shown")}),
        ("Besides", {"fields": ("id", "priority", "labels", "parent", "idempotency_key")}),
    )
    readonly_fields = (
        "status_shown", "summary", "stands_at", "next_timer", "definition_link", "times",
        "problem_shown", "input_shown", "output_shown", "context_shown",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Instance]:
        """Leave the payloads in the database for lists."""
        return super().get_queryset(request).defer("input", "output", "context", "problem")

    def get_fieldsets(self, request: HttpRequest, obj: models.Instance | None = None) -> Any:
        """Leave out what an instance of this status has not."""
        absent = {"stands_at", "next_timer"} if obj is None or obj.ended_at else {"output_shown"}
        if obj is None or obj.status != "faulted":
            absent |= {"summary", "problem_shown"}
        return [
            (title, {"fields": [name for name in options["fields"] if name not in absent]})
            for title, options in self.fieldsets
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search what is indexed: ids from their start, workflows by whole name; and one label."""
        term = search_term.strip()
        return (_search(queryset, term) if term else queryset), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the history, and the verbs that the user may use."""
        extra = dict(extra_context or {})
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_permission(request, row):
            extra["history"] = operations.history(row.pk, actor=actor_of(request), limit=HISTORY_ROWS, cursor=None)
            if self.has_steer_permission(request):
                extra["verbs"] = [verb for verb, statuses in _VERBS.items() if row.status in statuses]
        return super().change_view(request, object_id, form_url, extra)

    @admin.action(description="Suspend", permissions=["steer"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Hold instances."""
        return steer_rows(self, request, queryset, "suspend", operations.suspend)

    @admin.action(description="Resume", permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Let suspended instances go on."""
        return steer_rows(self, request, queryset, "resume", operations.resume)

    @admin.action(description="Cancel", permissions=["steer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """End instances."""
        return steer_rows(self, request, queryset, "cancel", operations.cancel)

    @admin.action(description="Retry from the failed task", permissions=["steer"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run instances again that faulted or were cancelled."""
        return steer_rows(self, request, queryset, "retry", operations.retry)

    @admin.display(description="id", ordering="id")
    def id_shown(self, row: models.Instance) -> SafeString:
        """In one line."""
        return format_html("<code>{}</code>", row.pk)

    @admin.display(description="definition")
    def definition_line(self, row: models.Instance) -> str:
        """Which definition, without reading its row."""
        return f"{row.namespace}/{row.workflow}:{row.version}"

    @admin.display(description="definition")
    def definition_link(self, row: models.Instance) -> SafeString:
        """The same, as the way to its text."""
        page = reverse("admin:workflows_definition_change", args=(row.definition_id,))
        return format_html('<a href="{}">{}</a>', page, self.definition_line(row))

    @admin.display(description="status", ordering="status")
    def status_shown(self, row: models.Instance) -> SafeString:
        """With a colour."""
        return format_html('<span class="lemline-status lemline-{0}">{0}</span>', row.status)

    @admin.display(description="created", ordering="created_at")
    def created(self, row: models.Instance) -> str:
        """To the second."""
        return moment(row.created_at)

    @admin.display(description="ended", ordering="ended_at")
    def ended(self, row: models.Instance) -> str:
        """To the second."""
        return moment(row.ended_at)

    @admin.display(description="times")
    def times(self, row: models.Instance) -> str:
        """When it was created, started and ended."""
        named = (("created", row.created_at), ("started", row.started_at), ("ended", row.ended_at))
        return ", ".join(f"{name} {moment(at)}" for name, at in named if at)

    @admin.display(description="why")
    def summary(self, row: models.Instance) -> SafeString:
        """The problem in a line, and the task it came from."""
        found = decode(bytes(row.problem or b"{}"))
        told = ": ".join(str(found[name]) for name in ("title", "detail") if found.get(name))
        return format_html("{} <br><code>{}</code>", told or found.get("type", "-"), found.get("instance", ""))

    @admin.display(description="stands at")
    def stands_at(self, row: models.Instance) -> SafeString:
        """The innermost tasks under way."""
        return format_html_join("", "<code>{}</code><br>", ((position,) for position in _seen(row).positions))

    @admin.display(description="next timer")
    def next_timer(self, row: models.Instance) -> str:
        """When it goes on by itself at the latest, if it waits for a time."""
        return moment(models.Checkpoint.objects.filter(instance=row.pk).values_list("due_at", flat=True).first())

    @admin.display(description="problem")
    def problem_shown(self, row: models.Instance) -> SafeString | str:
        """Why it faulted."""
        return shown(row.problem)

    @admin.display(description="input")
    def input_shown(self, row: models.Instance) -> SafeString | str:
        """The raw input."""
        return shown(row.input)

    @admin.display(description="output")
    def output_shown(self, row: models.Instance) -> SafeString | str:
        """What came out."""
        return shown(row.output)

    @admin.display(description="context")
    def context_shown(self, row: models.Instance) -> SafeString | str:
        """The last `$context`."""
        return shown(_seen(row).context)


@admin.register(models.DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Instances that were given up, and why; their pages are those of the instances."""

    namespace_path = "namespace"
    list_display = ("id_shown", "definition_line", "why", "given_up_at")
    list_display_links = None
    list_filter = (WorkflowFilter,)
    search_fields = ("id",)
    search_help_text = InstanceAdmin.search_help_text
    ordering = ("-ended_at", "-id")
    actions = ("redeliver",)
    get_search_results = InstanceAdmin.get_search_results
    has_steer_permission = InstanceAdmin.has_steer_permission
    definition_line = InstanceAdmin.definition_line
    why = InstanceAdmin.summary

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.DeadLetter]:
        """Leave the payloads in the database."""
        return super().get_queryset(request).filter(given_up=True).defer("input", "output", "context")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may see instances."""
        return request.user.has_perm("workflows.view_instance")

    @admin.action(description="Redeliver", permissions=["steer"])
    def redeliver(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Take them up again from the task where they stood."""
        return steer_rows(self, request, queryset, "redeliver", dead_letters.redeliver)

    @admin.display(description="instance", ordering="id")
    def id_shown(self, row: models.DeadLetter) -> SafeString:
        """The way to its page."""
        page = reverse("admin:workflows_instance_change", args=(row.pk,))
        return format_html('<a href="{}"><code>{}</code></a>', page, row.pk)

    @admin.display(description="given up", ordering="ended_at")
    def given_up_at(self, row: models.DeadLetter) -> str:
        """To the second."""
        return moment(row.ended_at)


@admin.register(models.Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    """What the engine knows of open instances."""

    list_display = ("instance", "step", "priority", "due_at", "leased_until", "has_open_work", "parked")
    list_filter = ("has_open_work", "parked")
    ordering = ("-instance",)
    search_fields = ("instance",)
    search_help_text = "Start of an id"
    fields = ("instance", "step", "priority", "due_at", "leased_until", "has_open_work", "parked", "state_shown")
    readonly_fields = ("state_shown",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Checkpoint]:
        """Leave states in the database for lists."""
        return super().get_queryset(request).defer("state", "input")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the start of the id."""
        bounds = _bounds(search_term.strip())
        return (queryset.filter(instance__range=bounds) if bounds else queryset), False

    @admin.display(description="state")
    def state_shown(self, row: models.Checkpoint) -> SafeString | str:
        """The state as JSON."""
        return shown(unpack(bytes(row.state)))


@admin.register(models.Node)
class NodeAdmin(ReadOnlyAdmin):
    """Processes that take jobs, and when they were last heard of."""

    list_display = ("name", "roles", "started_at", "seen_at")
    ordering = ("-seen_at",)
    search_fields = ("name",)
    fields = ("id", "name", "roles", "started_at", "seen_at", "taken", "held", "trying")


@admin.register(models.ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys without their text; made by the API or `lemline admin create-key`."""

    list_display = ("prefix", "name", "role", "namespaces", "created_at", "expires_at", "revoked_at")
    list_filter = ("role",)
    ordering = ("-id",)
    search_fields = ("name", "=prefix")
    fields = ("prefix", "name", "role", "namespaces", "created_at", "expires_at", "revoked_at")
    actions = ("revoke",)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Who may revoke keys."""
        return may(request, "admin")

    @admin.action(description="Revoke", permissions=["manage"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """End keys for good."""

        def run(key: int, *, actor: Actor, reason: str) -> object:
            return accounts.revoke_key(str(key), actor=actor, reason=reason)

        return steer_rows(self, request, queryset, "revoke", run)


@admin.register(models.AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, and why."""

    list_display = ("at", "by", "door", "action", "subject", "reason")
    list_filter = ("action", "door")
    ordering = ("-id",)
    search_fields = ("=by", "subject")
    search_help_text = "User or key, or part of the subject"


def _seen(row: models.Instance) -> InstanceView:
    """An open instance as the engine knows it: its context and positions stand in its checkpoint."""
    return operations.get_instance(row.pk, actor=Actor(name="admin pages", door="admin"))


def _search(rows: QuerySet[Any], term: str) -> QuerySet[Any]:
    name, found, value = term.partition(":")
    if found:
        labelled: QuerySet[Any] = rows.labelled(name, value)  # type: ignore[attr-defined]  # of our own query set
        return labelled
    namespace, found, workflow = term.partition("/")
    if found:
        return rows.filter(namespace=namespace, workflow=workflow)
    namespaces = list(models.Definition.objects.filter(name=term).values_list("namespace", flat=True).distinct()[:100])
    bounds = _bounds(term)
    if namespaces or bounds is None:
        return rows.filter(namespace__in=namespaces, workflow=term)
    return rows.filter(id__range=bounds)


def _bounds(start: str) -> tuple[UUID, UUID] | None:
    """The least and the greatest id that begin like this, so that the primary key's index is used."""
    digits = start.replace("-", "")
    if not _UUID_START.fullmatch(start) or len(digits) > 32:
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
