"""`approval list|get|answer|link`."""

import argparse

from workflows.cli.areas import Area, Areas
from workflows.cli.exits import CommandError, Exit
from workflows.cli.inputs import actor, duration, limit
from workflows.cli.output import Output, named
from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json

COLUMNS = ("id", "workflow", "question", "decisions", "askedAt", "problem")


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the area."""
    area = Area(areas, "approval", "What running instances ask people; answer it.", "approvals")
    listing = area.verb("list", _list)
    listing.add_argument("--limit", type=limit, default=100)
    listing.add_argument("--cursor")
    area.verb("get", _get).add_argument("id")
    answer = area.verb("answer", _answer)
    answer.add_argument("id")
    answer.add_argument("decision")
    answer.add_argument("--data", metavar="JSON", help="what there is to say besides")
    link = area.verb("link", _link)
    link.add_argument("id")
    link.add_argument("--for", dest="reader", default="", metavar="NAME", help="whom it is for: stands in the answer")
    link.add_argument("--expires-in", type=duration, metavar="TIME", help="how long it is good (default: 7d)")
    link.add_argument("--url", default="", metavar="URL", help="what comes before it: where this is reached")


def _list(options: argparse.Namespace, output: Output) -> None:
    """List what is asked, the oldest instance first."""
    from workflows.runtime import approvals

    page = approvals.list_approvals(actor=actor(), limit=options.limit, cursor=options.cursor)
    items = [question.to_json() for question in page.items]
    output.page([_row(item) for item in items], COLUMNS, items, page.next)


def _get(options: argparse.Namespace, output: Output) -> None:
    """Show a question with its data."""
    from workflows.runtime import approvals

    output.value(approvals.get_approval(options.id, actor=actor()).to_json())


def _answer(options: argparse.Namespace, output: Output) -> None:
    """Answer a question. The first answer counts."""
    from workflows.runtime import approvals

    data = None
    if options.data is not None:
        try:
            data = jsontext.decode(options.data.encode("utf-8", "surrogateescape"))
        except jsontext.JsonError as error:
            raise CommandError(f"--data is not JSON: {error}", Exit.VALIDATION) from error
    output.record(approvals.answer(options.id, options.decision, data, actor=actor()).to_json())


def _link(options: argparse.Namespace, output: Output) -> None:
    """Make a link for somebody without an account: a page that takes one answer until it expires."""
    from workflows.runtime import approvals

    link = approvals.link_to(
        options.id, actor=actor(), reader=options.reader, span=options.expires_in or approvals.LINK_SPAN
    )
    output.record({"url": options.url.rstrip("/") + link.path, "expiresAt": link.expires_at.isoformat()})


def _row(item: dict[str, Json]) -> dict[str, Json]:
    return {**item, "workflow": named(item["workflow"]), "decisions": ", ".join(item["decisions"])}
