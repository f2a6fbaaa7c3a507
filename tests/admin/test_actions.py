"""The verbs on the admin pages: asked for a reason, done by the operations, recorded."""

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from tests.admin.conftest import STEER, VIEW, browser_of
from tests.doors import ECHO, FAILING, SLEEPER, caller, register, start
from workflows.models import ApiKey, AuditEntry, History, Instance

LIST = "/admin/workflows/instance/"


def act(browser: Client, verb: str, *names: str, **more: str):  # type: ignore[no-untyped-def]
    return browser.post(LIST, {"action": verb, "_selected_action": names, **more})


def told(answer) -> list[str]:  # type: ignore[no-untyped-def]
    return [str(message) for message in get_messages(answer.wsgi_request)]


def status(name: str) -> str:
    return Instance.objects.get(pk=name).status


@pytest.mark.parametrize("verb", ["suspend", "resume", "cancel", "retry"])
def test_a_verb_asks_for_the_reason_first_and_does_nothing_yet(browser: Client, verb: str) -> None:
    register(SLEEPER)
    made = start().id

    answer = act(browser, verb, made)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert 'name="reason"' in text
    assert f'name="_selected_action" value="{made}"' in text
    assert f'name="action" value="{verb}"' in text
    assert status(made) == "waiting"


@pytest.mark.parametrize(
    ("verb", "body", "first", "then"),
    [
        ("suspend", SLEEPER, "", "suspended"),
        ("resume", SLEEPER, "suspend", "waiting"),
        ("cancel", SLEEPER, "", "cancelled"),
        ("retry", FAILING, "", "faulted"),
    ],
)
def test_with_the_reason_a_verb_is_done_and_recorded(
    browser: Client, verb: str, body: str, first: str, then: str
) -> None:
    register(body)
    names = [start().id, start().id]
    if first:
        act(browser, first, *names, reason="before")

    answer = act(browser, verb, *names, reason="the shop is closed")

    assert (answer.status_code, told(answer)[-1]) == (302, f"{verb}: 2 done.")
    assert [status(name) for name in names] == [then, then]
    entries = AuditEntry.objects.filter(action=f"instance.{verb}", reason="the shop is closed")
    assert {(entry.by, entry.door, entry.subject) for entry in entries} == {("root", "admin", name) for name in names}
    phases = History.objects.filter(is_phase=True, by="root", reason="the shop is closed")
    assert set(phases.values_list("instance", flat=True).distinct()) == set(
        Instance.objects.values_list("pk", flat=True)
    )


def test_what_is_refused_is_told_for_each_and_the_others_are_done(browser: Client) -> None:
    register(SLEEPER)
    register(ECHO, name="done")
    opened, ended = start().id, start("done").id

    answer = act(browser, "cancel", opened, ended, reason="x")

    done, refused = told(answer)
    assert done == "cancel: 1 done."
    assert ended in refused
    assert "completed" in refused
    assert (status(opened), status(ended)) == ("cancelled", "completed")


def test_a_reason_that_cannot_be_stored_is_refused(browser: Client) -> None:
    register(SLEEPER)
    made = start().id

    answer = act(browser, "cancel", made, reason="\x00")

    assert "NUL" in told(answer)[0]
    assert status(made) == "waiting"


@pytest.mark.parametrize("verb", ["suspend", "cancel"])
def test_whoever_may_only_look_cannot_steer(browser: Client, verb: str) -> None:
    register(SLEEPER)
    made = start().id
    viewer = browser_of("ada", *VIEW)

    act(viewer, verb, made, reason="x")

    assert status(made) == "waiting"
    assert 'name="action"' not in viewer.get(f"{LIST}{made}/change/").content.decode()


def test_whoever_is_limited_to_namespaces_cannot_steer_others(browser: Client) -> None:
    register(SLEEPER)
    register(SLEEPER, namespace="own")
    foreign, own = start().id, start(namespace="own").id

    act(browser_of("ada", *STEER, groups=("namespace:own",)), "cancel", foreign, own, reason="x")

    assert (status(foreign), status(own)) == ("waiting", "cancelled")
    assert AuditEntry.objects.get(action="instance.cancel").by == "ada"


def test_a_form_from_elsewhere_is_refused(browser: Client) -> None:
    register(SLEEPER)
    made = start().id
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies

    answer = act(strict, "cancel", made, reason="x")

    assert (answer.status_code, status(made)) == (403, "waiting")


def test_a_key_can_be_revoked(browser: Client) -> None:
    robot = caller("viewer")
    before = robot.get("/instances").status
    key = ApiKey.objects.get()

    browser.post("/admin/workflows/apikey/", {"action": "revoke", "_selected_action": key.pk, "reason": "lost"})

    assert (before, robot.get("/instances").status) == (200, 401)
    assert AuditEntry.objects.get(action="key.revoke").reason == "lost"


def test_only_administrators_revoke_keys(browser: Client) -> None:
    robot = caller("viewer")
    key = ApiKey.objects.get()

    browser_of("ada", *STEER, "add_definition").post(
        "/admin/workflows/apikey/", {"action": "revoke", "_selected_action": key.pk, "reason": "x"}
    )

    assert robot.get("/instances").status == 200
