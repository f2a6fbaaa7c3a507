"""What instances ask people, and that each question is answered once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from tests.doors import ROOT, register, start
from tests.runtimes import output_of, status_of
from tests.waiting import wait_until
from workflows import models
from workflows.runtime import approvals, events, operations, process
from workflows.runtime.audit import Actor
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError, OperationRefusedError
from workflows.runtime.event_processor import EventProcessor
from workflows.runtime.questions import Question

ASKED = """
do:
  - decide:
      metadata:
        approval:
          question: Pay ${ .amount } to ${ .to }?
          data: '${ {amount, to} }'
          decisions: [pay, hold, refuse]
      listen:
        to: {one: {with: {type: payment.decided, subject: '${ $workflow.id }'}}}
"""
CORRELATED = """
do:
  - decide:
      metadata: {approval: {question: May it go on?}}
      listen:
        to:
          one:
            with: {source: /deciders}
            correlate:
              order: {from: .data.order.id, expect: '${ .order }'}
              any: {from: .type}
"""
OWN = "{one: {with: {type: t, subject: '${ $workflow.id }'}}}"


def asking(to: str = OWN, approval: str = "{}") -> str:
    return f"do: [{{decide: {{metadata: {{approval: {approval}}}, listen: {{to: {to}}}}}}}]"


def run(body: str, name: str = "asking", input: bytes = b"{}") -> str:
    register(body, name=name)
    return start(name, input=input).id


def questions(actor: Actor = ROOT) -> list[Question]:
    return approvals.list_approvals(actor=actor, limit=50).items


@pytest.fixture
def offer(database: str) -> Iterator[Callable[[], None]]:
    """Offers what was received to whom it concerns; this process has a runtime that works."""
    processor = EventProcessor(process.current(), 0, lambda offers, now: None)

    def offer() -> None:
        while processor.look():
            pass

    yield offer
    processor.stop()
    process.end()


def test_a_question_is_asked_and_its_answer_goes_on_with_the_instance(offer: Callable[[], None]) -> None:
    instance = run(ASKED, input=b'{"amount": 7, "to": "ada"}')

    [question] = questions()
    done = approvals.answer(question.id, "pay", {"comment": "soon"}, actor=ROOT)
    offer()

    assert (question.instance, question.question, question.data, question.decisions, question.problem) == (
        instance, "Pay 7 to ada?", {"amount": 7, "to": "ada"}, ("pay", "hold", "refuse"), "",
    )  # fmt: skip
    assert (done.decision, done.by, done.changed) == ("pay", ROOT.name, True)
    said = {"approval": question.id, "decision": "pay", "by": ROOT.name, "data": {"comment": "soon"}}
    assert (status_of(instance), output_of(instance)) == ("completed", [said])
    assert questions() == []
    assert models.AuditEntry.objects.get(action="approval.answer").reason == "pay"


def test_an_answer_goes_to_its_own_instance_alone(offer: Callable[[], None]) -> None:
    register(ASKED, name="asking")
    first, second = (start("asking").id for _ in range(2))
    [question] = [each for each in questions() if each.instance == second]

    approvals.answer(question.id, "hold", actor=ROOT)
    offer()

    assert [each.instance for each in questions()] == [first]
    assert status_of(second) == "completed"


def test_an_answer_has_what_the_filter_correlates(offer: Callable[[], None]) -> None:
    instance = run(CORRELATED, input=b'{"order": 7}')

    [question] = questions()
    approvals.answer(question.id, "approve", actor=ROOT)
    offer()

    assert question.problem == ""
    assert output_of(instance) == [
        {"approval": question.id, "decision": "approve", "by": ROOT.name, "order": {"id": 7}}
    ]


def test_the_first_answer_counts_and_the_same_again_changes_nothing(offer: Callable[[], None]) -> None:
    instance = run(asking())
    [question] = questions()

    for _ in range(2):
        first = approvals.answer(question.id, "approve", actor=ROOT)
        with pytest.raises(ConflictError, match=f"{ROOT.name} decided 'approve' at .*; the first answer counts"):
            approvals.answer(question.id, "reject", actor=ROOT)
        offer()

    assert not first.changed
    assert output_of(instance)[0]["decision"] == "approve"
    assert (
        models.ReceivedEvent.objects.count() == models.AuditEntry.objects.filter(action="approval.answer").count() == 1
    )


def test_of_those_who_answer_at_once_one_is_first(offer: Callable[[], None]) -> None:
    instance = run(asking(approval="{decisions: [a, b, c, d]}"))
    [question] = questions()

    def decide(decision: str) -> bool:
        try:
            return approvals.answer(question.id, decision, actor=ROOT).changed
        except ConflictError:
            return False
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as people:
        took = dict(zip("abcd", people.map(decide, "abcd"), strict=True))
    offer()

    [decided] = [decision for decision, is_first in took.items() if is_first]
    assert output_of(instance)[0]["decision"] == decided


def test_a_suspended_instance_asks_on_and_takes_the_answer_once_it_is_resumed(offer: Callable[[], None]) -> None:
    instance = run(asking())
    [question] = questions()
    operations.suspend(instance, actor=ROOT)

    approvals.answer(questions()[0].id, "approve", actor=ROOT)
    offer()
    held = status_of(instance)
    operations.resume(instance, actor=ROOT)

    assert held == "suspended"
    wait_until(lambda: status_of(instance) == "completed")
    assert output_of(instance)[0]["approval"] == question.id


def test_what_is_asked_ends_with_its_instance(offer: Callable[[], None]) -> None:
    instance = run(asking())
    [question] = questions()

    operations.cancel(instance, actor=ROOT)

    assert questions() == []
    with pytest.raises(NotFoundError, match="is not open"):
        approvals.answer(question.id, "approve", actor=ROOT)
    assert not models.ReceivedEvent.objects.exists()


UNANSWERABLE = [
    (asking("{one: {with: {type: t}}}"), "nothing in the filter tells this instance from others"),
    (asking("{one: {with: {type: t, subject: fixed}}}"), "nothing in the filter tells this instance from others"),
    (asking("{any: [{with: {type: t, subject: '${ $workflow.id }'}}]}"), "an approval listens to `one` event"),
    (asking("{one: {with: {subject: '${ $workflow.id }', data: '${ .level > 3 }'}}}"), "what this door cannot know"),
    (asking(approval="{question: '${ .a.b.c | error }'}"), "metadata.approval.question"),
    (asking(approval="{question: '${ | }'}"), "metadata.approval.question"),
    (asking(approval="{decisions: []}"), "metadata.approval.decisions is a list of texts"),
    (asking(approval="{decide: [a]}"), "metadata.approval has no decide"),
    (asking(approval="'Really?'"), "metadata.approval is an object"),
]


@pytest.mark.parametrize(("body", "problem"), UNANSWERABLE)
def test_what_cannot_be_answered_here_is_listed_with_the_reason(
    offer: Callable[[], None], body: str, problem: str
) -> None:
    run(body)

    [question] = questions()

    assert problem in question.problem
    with pytest.raises(OperationRefusedError, match="cannot be answered here"):
        approvals.answer(question.id, question.decisions[0], actor=ROOT)
    assert not models.ReceivedEvent.objects.exists()


def test_a_decision_that_is_not_offered_is_refused(offer: Callable[[], None]) -> None:
    run(ASKED)
    [question] = questions()

    with pytest.raises(InvalidRequestError, match="'approve' is no decision here; there are pay, hold, refuse"):
        approvals.answer(question.id, "approve", actor=ROOT)


def test_secrets_are_shown_by_name(offer: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMLINE_SECRET_PIN", "1234")
    run("use: {secrets: [pin]}\n" + asking(approval="{question: 'PIN ${ $secrets.pin }?'}"))

    assert questions()[0].question == "PIN [secret pin]?"


@pytest.mark.parametrize("most", [1, 2000])
def test_pages_give_each_question_once(offer: Callable[[], None], monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(approvals, "MOST_READ", most)
    body = f"{{listen: {{to: {OWN}}}, metadata: {{approval: {{question: a}}}}}}"
    branches = ", ".join(f"{{b{number}: {body}}}" for number in range(3))
    register(f"do: [{{all: {{fork: {{branches: [{branches}]}}}}}}]", name="asking")
    register("do: [{quiet: {listen: {to: {one: {with: {type: approval}}}}}}]", name="quiet")
    instances = [start(name).id for name in ("asking", "quiet", "asking")]

    seen, cursor = [], None
    for _ in range(10):
        page = approvals.list_approvals(actor=ROOT, limit=2, cursor=cursor)
        seen += [question.id for question in page.items]
        cursor = page.next
        if cursor is None:
            break

    assert cursor is None
    assert [each.rpartition(".")[0] for each in seen] == sorted([instances[0], instances[2]] * 3)
    assert len({*seen}) == 6


def test_foreign_namespaces_ask_nothing(offer: Callable[[], None]) -> None:
    run(asking())
    [question] = questions()
    stranger = Actor(name="eve", door="api", namespaces=frozenset({"other"}))

    assert questions(stranger) == []
    for attempt in (
        lambda: approvals.get_approval(question.id, actor=stranger),
        lambda: approvals.answer(question.id, "approve", actor=stranger),
        lambda: approvals.link_to(question.id, actor=stranger),
    ):
        with pytest.raises(NotFoundError, match="does not exist"):
            attempt()


@pytest.mark.parametrize("name", ["", "1", "x.1", "00000000-0000-0000-0000-000000000000.1", "\x00.1", "a.b.c"])
def test_what_is_no_id_is_not_found(offer: Callable[[], None], name: str) -> None:
    with pytest.raises(NotFoundError):
        approvals.get_approval(name, actor=ROOT)


def test_a_link_is_good_until_it_expires_for_its_question_alone(
    offer: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(asking())
    [question] = questions()

    link = approvals.link_to(question.id, actor=ROOT, reader="ada", span=timedelta(hours=1))
    token = link.path.rpartition("/")[2]
    linked = approvals.read_link(token)

    assert linked is not None
    assert (linked.id, linked.actor.name, linked.actor.namespaces) == (question.id, "ada", frozenset({"tests"}))
    assert approvals.read_link(f"{token}x") is None
    assert approvals.read_link(token.partition(":")[0]) is None
    late = process.current().clock.now() + timedelta(hours=1, seconds=1)
    monkeypatch.setattr(process.current().clock, "now", lambda: late)
    assert approvals.read_link(token) is None


@pytest.mark.parametrize("span", [timedelta(), timedelta(days=400)])
def test_a_link_is_not_good_for_ever(offer: Callable[[], None], span: timedelta) -> None:
    run(asking())

    with pytest.raises(InvalidRequestError, match="at most 366 days"):
        approvals.link_to(questions()[0].id, actor=ROOT, span=span)


def test_an_event_of_others_that_has_the_id_is_no_answer(offer: Callable[[], None]) -> None:
    run(asking())
    [question] = questions()
    other: dict[str, Any] = {"specversion": "1.0", "id": question.id, "source": "/api/v1/approvals", "type": "x"}
    events.receive([other], namespace="tests", by="eve")

    with pytest.raises(ConflictError, match="another event has the id"):
        approvals.answer(question.id, "approve", actor=ROOT)
