"""Actions of the admin pages: a page that asks for the reason, then one operation for each row that was chosen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from workflows.readonly import ReadOnlyAdmin, identity
from workflows.runtime.errors import LemlineError
from workflows.runtime.operations import Actor

MOST_AT_ONCE = 500

Steer = Callable[..., object]


def steer_rows(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    verb: str,
    run: Steer,
    asked: Mapping[str, str] = {},
) -> HttpResponse | None:
    """Ask for a reason on a page of its own, then apply the verb to each row that was chosen.

    Args:
        page: Whose action it is.
        request: What was sent.
        queryset: The rows.
        verb: The operation's name.
        run: The operation.
        asked: Names of times that the page asks for besides, and how it calls them.
    """
    chosen = list(queryset.values_list("pk", flat=True)[:MOST_AT_ONCE])
    if "reason" not in request.POST:
        return _ask(page, request, verb, chosen, asked)
    done, refused = 0, []
    for key in chosen:
        try:
            run(key, actor=actor_of(request), reason=request.POST["reason"])
            done += 1
        except LemlineError as error:
            refused.append(f"{key}: {error}")
    if done:
        page.message_user(request, f"{verb}: {done} done.", messages.SUCCESS)
    for text in refused[:20]:
        page.message_user(request, f"{verb}: {text}", messages.ERROR)
    return None


def _ask(
    page: ReadOnlyAdmin, request: HttpRequest, verb: str, chosen: Sequence[object], asked: Mapping[str, str]
) -> HttpResponse:
    nouns = page.opts.verbose_name if len(chosen) == 1 else page.opts.verbose_name_plural
    context = {
        **page.admin_site.each_context(request),
        "title": f"{verb.capitalize()} {len(chosen)} {nouns}",
        "verb": verb,
        "chosen": chosen,
        "asked": list(asked.items()),
        "opts": page.opts,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/workflows/ask_reason.html", context)


def actor_of(request: HttpRequest) -> Actor:
    """Return on whose behalf the operations of this request run."""
    found = identity(request)
    name = found.name if found else request.user.get_username()
    return Actor(
        name=name,
        door="admin",
        namespaces=found.namespaces if found else frozenset(),
        is_admin=found is not None and found.may("admin"),
    )
