"""`/approvals`, and the page of a link to one."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from tests.doors import Caller, caller, register, start
from tests.runtimes import output_of
from workflows import models
from workflows.runtime import process
from workflows.runtime.event_processor import EventProcessor

ASKED = """
do:
  - decide:
      metadata: {approval: {question: 'Pay <b>${ .amount }</b>?', data: '${ {amount} }', decisions: [pay, refuse]}}
      listen:
        to: {one: {with: {type: payment.decided, subject: '${ $workflow.id }'}}}
"""


@pytest.fixture
def instance(api: Caller) -> str:
    """An instance that asks."""
    register(ASKED, name="asking")
    return start("asking", input=b'{"amount": 7}').id


@pytest.fixture
def offer(instance: str) -> Iterator[Callable[[], None]]:
    processor = EventProcessor(process.current(), 0, lambda offers, now: None)

    def offer() -> None:
        while processor.look():
            pass

    yield offer
    processor.stop()


@pytest.fixture
def page(api: Caller, instance: str) -> str:
    """The path of a link for Ada."""
    [item] = api.get("/approvals").json["items"]
    made = api.post(f"/approvals/{item['id']}/link", {"for": "ada", "expiresIn": "PT1H"})
    assert made.status == 201
    url: str = made.json["url"]
    return url.removeprefix("http://testserver")


@pytest.fixture
def browser() -> Client:
    """That of somebody without an account; it checks tokens as a real one has to."""
    return Client(enforce_csrf_checks=True)


def decide(browser: Client, page: str, decision: str, **more: str) -> tuple[int, str]:
    """Look at the page, and press a button."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(page).content.decode())
    sent = {"decision": decision, "csrfmiddlewaretoken": token[1] if token else "", **more}
    answer = browser.post(page, sent)
    return answer.status_code, answer.content.decode()


def test_a_question_is_listed_shown_and_answered(api: Caller, instance: str, offer: Callable[[], None]) -> None:
    [item] = api.get("/approvals").json["items"]
    shown = api.get(f"/approvals/{item['id']}")
    answered = api.post(f"/approvals/{item['id']}", {"decision": "pay", "data": {"limit": 10}})
    offer()

    assert shown.json == item
    assert (item["instance"], item["question"], item["data"]) == (instance, "Pay <b>7</b>?", {"amount": 7})
    assert item["workflow"] == {"namespace": "tests", "name": "asking", "version": "1.0.0"}
    assert (answered.status, answered.json["decision"], answered.json["data"]) == (202, "pay", {"limit": 10})
    assert output_of(instance)[0]["data"] == {"limit": 10}
    assert api.get("/approvals").json["items"] == []
    assert api.get(f"/approvals/{item['id']}").status == 404
    assert api.post(f"/approvals/{item['id']}", {"decision": "pay", "data": {"limit": 10}}).status == 202
    assert api.post(f"/approvals/{item['id']}", {"decision": "refuse"}).status == 409


@pytest.mark.parametrize(
    ("body", "pointer"), [({}, "/decision"), ({"decision": "perhaps"}, "/decision"), ({"decision": 1}, "/decision")]
)
def test_a_decision_that_is_none_is_told(api: Caller, instance: str, body: dict[str, object], pointer: str) -> None:
    [item] = api.get("/approvals").json["items"]

    answer = api.post(f"/approvals/{item['id']}", body)

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, pointer)


def test_of_foreign_namespaces_there_are_none(api: Caller, instance: str) -> None:
    [item] = api.get("/approvals").json["items"]
    stranger = caller("admin", "other")

    assert stranger.get("/approvals").json["items"] == []
    assert stranger.get(f"/approvals/{item['id']}").status == 404
    assert stranger.post(f"/approvals/{item['id']}", {"decision": "pay"}).status == 404
    assert stranger.post(f"/approvals/{item['id']}/link", {}).status == 404


def test_a_link_shows_the_question_and_takes_one_answer(
    browser: Client, instance: str, page: str, offer: Callable[[], None]
) -> None:
    shown = browser.get(page).content.decode()
    first = decide(browser, page, "pay", comment="of course")
    again = decide(browser, page, "refuse")
    offer()

    assert "Pay &lt;b&gt;7&lt;/b&gt;?" in shown
    assert (first[0], "Your answer was taken: pay" in first[1]) == (200, True)
    assert again[0] == 403
    assert "Answered: pay, by ada" in browser.get(page).content.decode()
    [said] = output_of(instance)
    assert (said["decision"], said["by"], said["data"]) == ("pay", "ada", {"comment": "of course"})
    entry = models.AuditEntry.objects.get(action="approval.answer")
    assert (entry.by, entry.door) == ("ada", "link")


def test_who_comes_second_is_told_what_was_decided(browser: Client, api: Caller, page: str) -> None:
    [item] = api.get("/approvals").json["items"]
    token = re.search(r'value="(\w{64})"', browser.get(page).content.decode())
    assert token is not None
    api.post(f"/approvals/{item['id']}", {"decision": "refuse"})

    answer = browser.post(page, {"decision": "pay", "csrfmiddlewaretoken": token[1]})

    assert answer.status_code == 409
    assert "decided &#x27;refuse&#x27;" in answer.content.decode()


def test_looking_at_a_link_answers_nothing(browser: Client, page: str) -> None:
    for path in (page, f"{page}?decision=pay"):
        browser.get(path)
        browser.head(path)

    assert not models.ReceivedEvent.objects.exists()


def test_a_form_of_another_site_answers_nothing(browser: Client, page: str) -> None:
    answer = browser.post(page, {"decision": "pay"})

    assert answer.status_code == 403
    assert not models.ReceivedEvent.objects.exists()


def test_the_page_cannot_be_framed_stored_or_led_elsewhere(browser: Client, page: str) -> None:
    headers = browser.get(page).headers

    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "no-store" in headers["Cache-Control"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_link_that_is_changed_is_no_link(browser: Client, page: str) -> None:
    for path in (f"{page}x", "/approve/x", page[:-5]):
        assert browser.get(path).status_code == 404
        assert browser.post(path, {"decision": "pay"}).status_code == 403
    assert not models.ReceivedEvent.objects.exists()


def test_a_link_to_what_is_no_longer_asked_says_so(browser: Client, api: Caller, instance: str, page: str) -> None:
    api.post(f"/instances/{instance}/cancel", {})

    answer = browser.get(page)

    assert (answer.status_code, "no longer open" in answer.content.decode()) == (404, True)
