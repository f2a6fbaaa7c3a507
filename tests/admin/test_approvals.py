"""The page on which people answer what instances ask."""

from django.test import Client

from tests.admin.conftest import STEER, VIEW, browser_of
from tests.doors import register, start
from workflows import models
from workflows.runtime import approvals
from workflows.runtime.audit import Actor
from workflows.runtime.questions import Question

PAGE = "/admin/workflows/approval/"
ASKED = """
do:
  - decide:
      metadata: {approval: {question: 'Pay <b>${ .amount }</b>?', data: '${ {amount} }'}}
      listen:
        to: {one: {with: {type: payment.decided, subject: '${ $workflow.id }'}}}
"""
ADMIN = Actor(name="tests", door="tests")


def asked(name: str = "asking", namespace: str = "tests") -> Question:
    register(ASKED, name=name, namespace=namespace)
    instance = start(name, namespace, input=b'{"amount": 7}').id
    items = approvals.list_approvals(actor=ADMIN, limit=50).items
    return next(each for each in items if each.instance == instance)


def test_a_question_is_shown_with_its_data_and_answered(browser: Client) -> None:
    question = asked()

    shown = browser.get(PAGE).content.decode()
    browser.post(PAGE, {"approval": question.id, "decision": "approve", "comment": "yes"})
    again = browser.post(PAGE, {"approval": question.id, "decision": "reject"}, follow=True).content.decode()

    assert "Pay &lt;b&gt;7&lt;/b&gt;?" in shown
    assert "&quot;amount&quot;: 7" in shown
    assert 'value="reject"' in shown
    answered = approvals.find_answer(question.id, actor=ADMIN)
    assert answered is not None
    assert (answered.decision, answered.by, answered.data) == ("approve", "root", {"comment": "yes"})
    assert "the first answer counts" in again


def test_who_may_only_look_is_shown_no_buttons(browser: Client) -> None:
    question = asked()
    ada, bob = browser_of("ada", *VIEW), browser_of("bob")

    shown = ada.get(PAGE).content.decode()

    assert "Pay" in shown
    assert 'name="decision"' not in shown
    assert ada.post(PAGE, {"approval": question.id, "decision": "approve"}).status_code == 403
    assert bob.get(PAGE).status_code == 403
    assert not models.ReceivedEvent.objects.exists()


def test_who_is_limited_to_namespaces_sees_and_answers_their_own(browser: Client) -> None:
    question = asked(namespace="b")
    ada = browser_of("ada", *STEER, groups=("namespace:a",))

    shown = ada.get(PAGE).content.decode()
    ada.post(PAGE, {"approval": question.id, "decision": "approve"})

    assert "Nothing is asked." in shown
    assert not models.ReceivedEvent.objects.exists()


def test_a_form_of_another_site_answers_nothing(browser: Client) -> None:
    question = asked()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies

    answer = strict.post(PAGE, {"approval": question.id, "decision": "approve"})

    assert answer.status_code == 403
    assert not models.ReceivedEvent.objects.exists()
