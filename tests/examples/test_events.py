"""The examples that wait for events, on a server as their README has it."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.crash.harness import DEV, Installation
from tests.crash.installing import installed

EVENTS = Path(__file__).parents[2] / "examples/events"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Installation]:
    database = f"sqlite:///{tmp_path_factory.mktemp('events')}/lemline.db"
    with contextlib.ExitStack() as opened:
        opened.enter_context(django_db_blocker.unblock())
        yield opened.enter_context(installed(tmp_path_factory.mktemp("server"), database, DEV))


Start = Callable[[str, object], str]


@pytest.fixture(scope="module")
def start(server: Installation) -> Start:
    """Registers an example and starts it."""

    def start(path: str, given: object) -> str:
        text = (EVENTS / path).read_bytes()
        made = server.ask("POST", "/workflows", text, "application/yaml")
        return str(server.ask("POST", f"/workflows/events/{made['name']}/run", given)["id"])

    return start


def expected(name: str) -> Any:
    return json.loads((EVENTS / f"expected/{name}.json").read_text("utf-8"))


def tell(server: Installation, name: str) -> Any:
    body = (EVENTS / f"{name}.json").read_bytes()
    return server.ask("POST", "/events", body, "application/cloudevents-batch+json")


def test_votes_are_counted_each_once_until_all_have_come(server: Installation, start: Start) -> None:
    instance = start("votes.yaml", {"poll": "p1", "voters": 3})

    assert tell(server, "votes") == {"accepted": 4, "duplicates": 1}

    [ending] = server.await_end(instance)
    assert ending.output == expected("votes")


def test_at_the_deadline_what_has_come_is_decided_on(server: Installation, start: Start) -> None:
    instance = start("quotes.yaml", {"request": "r1", "suppliers": 3, "seconds": 2})

    tell(server, "quotes")

    [ending] = server.await_end(instance)
    assert ending.output == expected("quotes")


def test_all_offers_end_it_before_the_deadline(server: Installation, start: Start) -> None:
    instance = start("quotes.yaml", {"request": "r1", "suppliers": 2, "seconds": 3600})

    [ending] = server.await_end(instance)
    assert ending.output == {**expected("quotes"), "isComplete": True}


def test_five_workflows_are_chained_by_what_they_emit(server: Installation, start: Start) -> None:
    files = sorted((EVENTS / "chain").glob("*.yaml"))
    for file in files[1:]:
        server.ask("POST", "/workflows", file.read_bytes(), "application/yaml")

    items = [{"price": 49.5, "count": 1}, {"price": 31, "count": 2}]
    start(f"chain/{files[0].name}", {"order": "1001", "items": items})

    def mails() -> Any:
        return server.ask("GET", "/instances?workflow=events/mail&status=completed")["items"]

    server.wait(mails)
    assert [server.ask("GET", f"/instances/{row['id']}")["output"] for row in mails()] == [expected("chain")]
    shipped = server.ask("GET", "/instances?workflow=events/shipping")["items"]
    assert len(shipped) == 1


def test_a_person_decides_by_a_link(server: Installation, start: Start) -> None:
    instance = start("approval.yaml", {"amount": 700, "to": "ada", "days": 3})

    def questions() -> Any:
        return server.ask("GET", "/approvals")["items"]

    server.wait(questions)
    [asked] = questions()
    url = server.ask("POST", f"/approvals/{asked['id']}/link", {"for": "grace"})["url"]
    browser = build_opener(HTTPCookieProcessor())
    page = browser.open(url).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    sent = {"csrfmiddlewaretoken": token[1], "decision": "pay", "comment": "of course"}
    answered = browser.open(url, urlencode(sent).encode()).read().decode()

    assert (asked["question"], asked["data"]) == ("Pay 700 to ada?", {"amount": 700, "to": "ada"})
    assert "Pay 700 to ada?" in page
    assert "Your answer was taken: pay" in answered
    [ending] = server.await_end(instance)
    assert ending.output == expected("approval")
