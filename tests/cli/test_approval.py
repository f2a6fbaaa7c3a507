"""`approval list|get|answer|link`."""

import json

from tests.cli.conftest import Lemline
from tests.doors import register, start
from workflows.cli.exits import Exit
from workflows.runtime import approvals

ASKED = """
do:
  - decide:
      metadata: {approval: {question: 'Pay ${ .amount }?'}}
      listen:
        to: {one: {with: {type: payment.decided, subject: '${ $workflow.id }'}}}
"""


def test_a_question_is_listed_linked_and_answered(stored: str, lemline: Lemline) -> None:
    register(ASKED, name="asking")
    start("asking", input=b'{"amount": 7}')

    listed = lemline("approvals", "list")
    [item] = lemline("approval", "list", "--format", "json").json["items"]
    link = lemline(
        "approval", "link", item["id"], "--for", "ada", "--expires-in", "1d", "--url", "https://x", "--format", "json"
    ).json
    done = lemline("approval", "answer", item["id"], "approve", "--data", '{"why": 1}', "--format", "json").json
    other = lemline("approval", "answer", item["id"], "reject")

    assert "Pay 7?" in listed.out
    assert "approve, reject" in listed.out
    assert lemline("approval", "get", item["id"], "--format", "json").json == item
    linked = approvals.read_link(link["url"].removeprefix("https://x/approve/"))
    assert linked is not None
    assert (linked.id, linked.actor.name) == (item["id"], "ada")
    assert (done["decision"], done["data"]) == ("approve", {"why": 1})
    assert "the first answer counts" in other.err
    assert other.code != Exit.OK


def test_mistakes_are_told(stored: str, lemline: Lemline) -> None:
    missing = lemline("approval", "answer", "nope", "approve")
    broken = lemline("approval", "answer", "nope", "approve", "--data", "{")

    assert (missing.code, "the approval nope does not exist" in missing.err) == (Exit.NOT_FOUND, True)
    assert (broken.code, "--data is not JSON" in broken.err) == (Exit.VALIDATION, True)
    assert json.loads(lemline("approval", "list", "--format", "json").out) == {"items": [], "next": None}
