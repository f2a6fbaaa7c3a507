"""The page of dead letters: read, and redelivered with a reason."""

from django.test import Client

from tests.admin.conftest import STEER, VIEW, browser_of
from tests.admin.test_actions import told
from tests.doors import FAILING, SLEEPER, give_up, register, start
from workflows.models import AuditEntry, Instance

LIST = "/admin/workflows/deadletter/"


def letter(namespace: str = "tests") -> str:
    register(SLEEPER, namespace=namespace)
    made = start(namespace=namespace).id
    give_up(made, "the value is refused")
    return made


def test_the_page_shows_what_was_given_up_and_why_and_leads_to_the_instance(browser: Client) -> None:
    made = letter()
    register(FAILING, name="failing")
    other = start("failing").id

    text = browser.get(LIST).content.decode()

    assert f'href="/admin/workflows/instance/{made}/change/"' in text
    assert "the value is refused" in text
    assert "tests/echo:1.0.0" in text
    assert other not in text


def test_it_is_searched_like_instances(browser: Client) -> None:
    made, other = letter(), letter("elsewhere")

    text = browser.get(LIST, {"q": "elsewhere/echo"}).content.decode()

    assert other in text
    assert made not in text


def test_redelivering_asks_for_the_reason_does_it_and_records_it(browser: Client) -> None:
    made = letter()

    asked = browser.post(LIST, {"action": "redeliver", "_selected_action": [made]})
    assert 'name="reason"' in asked.content.decode()
    assert Instance.objects.get(pk=made).given_up

    done = browser.post(LIST, {"action": "redeliver", "_selected_action": [made], "reason": "mended"})
    assert told(done)[-1] == "redeliver: 1 done."
    row = Instance.objects.get(pk=made)
    assert (row.status, row.given_up) == ("waiting", False)
    entry = AuditEntry.objects.get(action="instance.redeliver")
    assert (entry.by, entry.door, entry.subject, entry.reason) == ("root", "admin", made, "mended")


def test_viewers_see_them_and_redeliver_nothing(browser: Client) -> None:
    made = letter()

    viewer, operator = browser_of("viewer", *VIEW), browser_of("operator", *STEER)
    viewer.post(LIST, {"action": "redeliver", "_selected_action": [made], "reason": "x"})

    assert made in viewer.get(LIST).content.decode()
    assert "Redeliver" not in viewer.get(LIST).content.decode()
    assert "Redeliver" in operator.get(LIST).content.decode()
    assert Instance.objects.get(pk=made).status == "faulted"


def test_foreign_namespaces_are_absent_and_nobody_else_looks(browser: Client) -> None:
    made, own = letter(), letter("theirs")

    limited = browser_of("limited", *STEER, groups=("namespace:theirs",))
    text = limited.get(LIST).content.decode()

    assert own in text
    assert made not in text
    assert browser_of("nobody").get(LIST).status_code == 403
