"""What running instances ask people: a list in which it is answered."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from workflows import models
from workflows.dsl.jsontext import encode
from workflows.readonly import ReadOnlyAdmin, may, shown
from workflows.runtime import approvals
from workflows.runtime.errors import LemlineError
from workflows.runtime.questions import Question
from workflows.steering import actor_of

PAGE = 50


@admin.register(models.Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """One page: the questions, each with its data and a button for each decision."""

    namespace_path = "namespace"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may see instances."""
        return request.user.has_perm("workflows.view_instance")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show what is asked; take an answer."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._answer(request)
        return self._list(request)

    def _list(self, request: HttpRequest) -> HttpResponse:
        try:
            page = approvals.list_approvals(
                actor=actor_of(request), limit=PAGE, cursor=request.GET.get("cursor") or None
            )
        except LemlineError as error:
            self.message_user(request, f"{error}.", messages.ERROR)
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": "What instances ask",
            "opts": self.opts,
            "rows": [(question, _data(question)) for question in page.items],
            "next": page.next,
            "may_answer": may(request, "operator"),
        }
        return TemplateResponse(request, "admin/workflows/approvals.html", context)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if not may(request, "operator"):
            raise PermissionDenied
        comment = request.POST.get("comment", "").strip()
        decision, approval_id = request.POST.get("decision", ""), request.POST.get("approval", "")
        try:
            done = approvals.answer(
                approval_id, decision, {"comment": comment} if comment else None, actor=actor_of(request)
            )
            self.message_user(request, f"Answered: {done.decision}.", messages.SUCCESS)
        except LemlineError as error:
            self.message_user(request, f"{error}.", messages.ERROR)
        return HttpResponseRedirect(request.path)


def _data(question: Question) -> str:
    return "" if question.data is None else shown(encode(question.data))
