"""Admin pages: read everything, change nothing by hand; actions call the operations."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from workflows import models
from workflows.readonly import ReadOnlyAdmin, identity, namespaces_of, shown
from workflows.runtime import accounts, operations
from workflows.runtime.errors import LemlineError
from workflows.runtime.operations import Actor

MOST_AT_ONCE = 500

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
    list_display = ("namespace", "name", "version", "title", "is_current", "created_at", "created_by")
    list_filter = ("is_current",)
    search_fields = ("=namespace", "name", "=version", "title")
    search_help_text = "Namespace, name, version or title"
    ordering = ("-id",)
    fields = ("namespace", "name", "version", "digest", "is_current", "created_at", "created_by", "source")
    readonly_fields = ("source",)

    @admin.display(description="text")
    def source(self, row: models.Definition) -> SafeString:
        """The text as it was given."""
        from django.utils.html import format_html

        return format_html('<pre class="lemline-json">{}</pre>', row.text)


@admin.register(models.Instance)
class InstanceAdmin(ReadOnlyAdmin):
    """Instances, with what they do and have done; and the four verbs."""

    namespace_path = "namespace"
    change_form_template = "admin/workflows/instance/change_form.html"
    list_display = ("id", "namespace", "workflow", "version", "status", "priority", "created_at", "ended_at")
    list_filter = (StatusFilter, WorkflowFilter, "created_at")
    search_fields = ("id",)
    search_help_text = "Start of an id, workflow, namespace/workflow, or label:value"
    ordering = ("-id",)
    actions = ("suspend", "resume", "cancel", "retry")
    fieldsets = (
        (None, {"fields": ("id", "definition_line", "status", "priority", "labels", "parent", "idempotency_key")}),
        ("Times", {"fields": ("created_at", "started_at", "ended_at")}),
        ("Data", {"fields": ("problem_shown", "input_shown", "output_shown", "context_shown")}),
    )
    readonly_fields = ("definition_line", "problem_shown", "input_shown", "output_shown", "context_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Instance]:
        """Leave the payloads in the database for lists."""
        return super().get_queryset(request).defer("input", "output", "context", "problem")

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
        extra = {**(extra_context or {}), "verbs": self.actions if self.has_steer_permission(request) else ()}
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_permission(request, row):
            extra["history"] = operations.history(row.pk, actor=_actor(request), limit=200, cursor=None)
        return super().change_view(request, object_id, form_url, extra)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Who may suspend, resume, cancel and retry."""
        found = identity(request)
        return found is not None and found.may("operator")

    @admin.action(description="Suspend", permissions=["steer"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Hold instances."""
        return _steer(self, request, queryset, "suspend", operations.suspend)

    @admin.action(description="Resume", permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Let suspended instances go on."""
        return _steer(self, request, queryset, "resume", operations.resume)

    @admin.action(description="Cancel", permissions=["steer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """End instances."""
        return _steer(self, request, queryset, "cancel", operations.cancel)

    @admin.action(description="Retry from the failed task", permissions=["steer"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run instances again that faulted or were cancelled."""
        return _steer(self, request, queryset, "retry", operations.retry)

    @admin.display(description="definition")
    def definition_line(self, row: models.Instance) -> str:
        """Which definition, without reading its row."""
        return f"{row.namespace}/{row.workflow}:{row.version}"

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
        return shown(row.context)


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
        return "-"


@admin.register(models.Node)
class NodeAdmin(ReadOnlyAdmin):
    """Processes that take jobs, and when they were last heard of."""

    list_display = ("name", "roles", "started_at", "seen_at")
    ordering = ("-seen_at",)
    search_fields = ("name",)
    fields = ("id", "name", "roles", "started_at", "seen_at", "taken", "held")


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
        found = identity(request)
        return found is not None and found.may("admin")

    @admin.action(description="Revoke", permissions=["manage"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """End keys for good."""

        def run(key: int, *, actor: Actor, reason: str) -> object:
            return accounts.revoke_key(str(key), actor=actor, reason=reason)

        return _steer(self, request, queryset, "revoke", run)


@admin.register(models.AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, and why."""

    list_display = ("at", "by", "door", "action", "subject", "reason")
    list_filter = ("action", "door")
    ordering = ("-id",)
    search_fields = ("=by", "subject")
    search_help_text = "User or key, or part of the subject"


Steer = Callable[..., object]


def _steer(
    page: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any], verb: str, run: Steer
) -> HttpResponse | None:
    """Ask for a reason on a page of its own, then apply the verb to each row that was chosen."""
    chosen = list(queryset.values_list("pk", flat=True)[:MOST_AT_ONCE])
    if "reason" not in request.POST:
        return _ask(page, request, verb, chosen)
    done, refused = 0, []
    for key in chosen:
        try:
            run(key, actor=_actor(request), reason=request.POST["reason"])
            done += 1
        except LemlineError as error:
            refused.append(str(error))
    if done:
        page.message_user(request, f"{verb}: {done} done.", messages.SUCCESS)
    for text in refused[:20]:
        page.message_user(request, f"{verb}: {text}", messages.ERROR)
    return None


def _ask(page: ReadOnlyAdmin, request: HttpRequest, verb: str, chosen: Sequence[object]) -> HttpResponse:
    nouns = page.opts.verbose_name if len(chosen) == 1 else page.opts.verbose_name_plural
    context = {
        **page.admin_site.each_context(request),
        "title": f"{verb.capitalize()} {len(chosen)} {nouns}",
        "verb": verb,
        "chosen": chosen,
        "opts": page.opts,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/workflows/ask_reason.html", context)


def _actor(request: HttpRequest) -> Actor:
    found = identity(request)
    name = found.name if found else request.user.get_username()
    return Actor(
        name=name,
        door="admin",
        namespaces=found.namespaces if found else frozenset(),
        is_admin=found is not None and found.may("admin"),
    )


def _search(rows: QuerySet[Any], term: str) -> QuerySet[Any]:
    name, found, value = term.partition(":")
    if found:
        labelled: QuerySet[Any] = rows.annotate(_label=KeyTextTransform(name, "labels")).filter(_label=value)
        return labelled
    namespace, found, workflow = term.partition("/")
    if found:
        return rows.filter(namespace=namespace, workflow=workflow)
    named = Q(workflow=term)
    bounds = _bounds(term)
    return rows.filter(named | Q(id__range=bounds) if bounds else named)


def _bounds(start: str) -> tuple[UUID, UUID] | None:
    """The least and the greatest id that begin like this, so that the primary key's index is used."""
    digits = start.replace("-", "")
    if not _UUID_START.fullmatch(start) or len(digits) > 32:
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
