"""`/approve/{link}`: the page on which somebody without an account answers one question.

What lets them in is the link alone; no session is asked. Looking changes nothing, since mail programs look at every
link. The answer is posted with the token against forgery all the same.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from workflows.dsl.jsontext import Json, encode
from workflows.runtime import approvals
from workflows.runtime.approvals import Linked
from workflows.runtime.errors import ConflictError, LemlineError, NotFoundError, OverloadedError
from workflows.runtime.outages import OUTAGES

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_LONGEST_COMMENT = 10_000


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
def approve(request: HttpRequest, token: str) -> HttpResponse:
    """Show the question, or take the answer."""
    linked = approvals.read_link(token)
    if linked is None:
        return _page(request, 404, "This link is not valid, or no longer.")
    try:
        if request.method == "POST":
            return _answered(request, linked)
        return _asked(request, linked)
    except OUTAGES:
        return _page(request, 503, "This cannot be looked up at the moment. Please try again soon.")


def _asked(request: HttpRequest, linked: Linked) -> HttpResponse:
    known = approvals.find_answer(linked.id, actor=linked.actor)
    if known is not None:
        return _page(request, 200, f"Answered: {known.decision}, by {known.by}, at {known.at}.")
    try:
        question = approvals.get_approval(linked.id, actor=linked.actor)
    except NotFoundError:
        return _page(request, 404, "This question is no longer open.")
    if question.problem:
        return _page(request, 409, f"This question cannot be answered here: {question.problem}.")
    return _page(request, 200, "", question=question, data=_lines(question.data))


def _answered(request: HttpRequest, linked: Linked) -> HttpResponse:
    comment = request.POST.get("comment", "").strip()[:_LONGEST_COMMENT]
    data = {"comment": comment} if comment else None
    try:
        done = approvals.answer(linked.id, request.POST.get("decision", ""), data, actor=linked.actor)
    except NotFoundError:
        return _asked(request, linked)
    except ConflictError as error:
        return _page(request, 409, f"This question has been answered: {error}.")
    except OverloadedError:
        return _page(request, 429, "There is too much to do at the moment. Please try again soon.")
    except LemlineError as error:
        return _page(request, 400, f"{error}.")
    return _page(request, 200, f"Thank you. Your answer was taken: {done.decision}.")


def _lines(data: Json) -> str:
    import msgspec

    return "" if data is None else msgspec.json.format(encode(data), indent=2).decode()


def _page(request: HttpRequest, status: int, message: str, **more: object) -> HttpResponse:
    response = render(request, "approve.html", {"message": message, **more}, status=status)
    add_never_cache_headers(response)
    response["Content-Security-Policy"] = _POLICY
    response["X-Robots-Tag"] = "noindex"
    return response
