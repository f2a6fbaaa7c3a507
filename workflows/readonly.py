"""Admin pages that show and never change, quick with a million rows."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows.dsl import jsontext
from workflows.runtime.accounts import Identity, identity_of, limits_of

MOST_ROWS_COUNTED = 1000


class ShortPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts no further than the first thousand rows: who needs others filters or searches.

    The rows keep their order while they are counted, so that the database walks an index and stops.
    """

    @cached_property
    def count(self) -> int:
        """Number of rows, or `MOST_ROWS_COUNTED` when there are more."""
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return min(rows[: MOST_ROWS_COUNTED + 1].count(), MOST_ROWS_COUNTED)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Shows rows to whoever has the view permission; adds, changes and deletes nothing."""

    paginator = ShortPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions_on_bottom = False
    namespace_path: ClassVar[str | None] = None
    """Lookup from the row to its namespace, for users who are limited to some."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Rows come from the engine alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows are changed by operations alone."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows go by retention alone."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tables that know no namespaces are hidden from users who are limited to some."""
        if not super().has_view_permission(request, obj):
            return False
        return self.namespace_path is not None or namespaces_of(request) is None

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Who may use actions that change the course of what runs."""
        return may(request, "operator")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out foreign namespaces."""
        rows = super().get_queryset(request)
        namespaces = namespaces_of(request)
        if namespaces is None or self.namespace_path is None:
            return rows
        return rows.filter(**{f"{self.namespace_path}__in": namespaces})


def identity(request: HttpRequest) -> Identity | None:
    """Return who is logged in, as the operations know them; looked up once per request."""
    if not hasattr(request, "_lemline_identity"):
        request._lemline_identity = identity_of(request.user)  # type: ignore[attr-defined]  # a memo of ours
    found: Identity | None = request._lemline_identity  # type: ignore[attr-defined]  # a memo of ours
    return found


def may(request: HttpRequest, role: str) -> bool:
    """Return whether who is logged in has this role, or one that includes it."""
    found = identity(request)
    return found is not None and found.may(role)


def namespaces_of(request: HttpRequest) -> frozenset[str] | None:
    """Return the namespaces that this user is limited to; None for all. Who has no role may still see some table."""
    found = identity(request)
    return found.namespaces if found else limits_of(request.user)


def moment(at: datetime | None) -> str:
    """Return a time as people compare it with others: to the second, UTC."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def shown(text: bytes | memoryview | None) -> SafeString | str:
    """Return stored JSON as an indented block, with secrets redacted and large values cut."""
    import msgspec

    if text is None:
        return "-"
    whole = msgspec.json.format(jsontext.encode(_redacted(bytes(text))), indent=2).decode()
    cut = whole if len(whole) <= _MOST_SHOWN else f"{whole[:_MOST_SHOWN]}\n… {len(whole)} characters in all"
    return format_html('<pre class="lemline-json">{}</pre>', cut)


_MOST_SHOWN = 20_000


def _redacted(text: bytes) -> jsontext.Json:
    from workflows.engine.secrets import redact

    return redact(jsontext.decode(text))
