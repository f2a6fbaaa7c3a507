"""`/dead-letters`: who sees them, who redelivers them, and what is answered."""

import pytest

from tests.doors import ECHO, FAILING, SLEEPER, Caller, caller, give_up, register, start
from workflows.models import AuditEntry, History

PATH = "/dead-letters"


def letter(namespace: str = "tests") -> str:
    """Make a dead letter; its id."""
    register(SLEEPER, namespace=namespace)
    made = start(namespace=namespace).id
    give_up(made, "the value is refused")
    return made


def test_a_dead_letter_is_listed_with_its_reason(api: Caller) -> None:
    made = letter()

    answer = api.get(PATH)

    assert (answer.status, answer.json["next"]) == (200, None)
    [item] = answer.json["items"]
    reason = "the step could not be taken: OSError: the value is refused"
    assert (item["id"], item["kind"], item["reason"], item["position"]) == (made, "instance", reason, None)
    assert item["workflow"] == {"namespace": "tests", "name": "echo", "version": "1.0.0"}
    assert item["error"]["detail"] == reason
    assert item["givenUpAt"] == api.get(f"/instances/{made}").json["endedAt"]


def test_kinds_are_kept_apart(api: Caller) -> None:
    made = letter()

    by_kind = {kind: api.get(f"{PATH}?kind={kind}").json["items"] for kind in ("instance", "event")}
    wrong = api.get(f"{PATH}?kind=letter")

    assert [item["id"] for item in by_kind["instance"]] == [made]
    assert by_kind["event"] == []
    assert (wrong.status, wrong.json["errors"][0]["parameter"]) == (400, "kind")


def test_pages_follow_each_other(api: Caller) -> None:
    made = {letter(), letter(), letter()}

    first = api.get(f"{PATH}?limit=2").json
    second = api.get(f"{PATH}?limit=2&cursor={first['next']}").json

    assert {item["id"] for item in first["items"] + second["items"]} == made
    assert second["next"] is None
    assert api.get(f"{PATH}?cursor=nonsense").status == 400


def test_redelivering_takes_the_instance_up_again_and_is_recorded(api: Caller) -> None:
    made = letter()

    answer = api.post(f"{PATH}/{made}/redeliver", {"reason": "the disk was full"})

    assert (answer.status, answer.json["id"], answer.json["status"]) == (200, made, "waiting")
    assert api.get(PATH).json["items"] == []
    entry = AuditEntry.objects.get(action="instance.redeliver")
    assert (entry.subject, entry.reason, entry.door) == (made, "the disk was full", "api")
    assert History.objects.filter(instance=made, is_phase=True, reason="the disk was full").exists()


def test_redelivering_with_an_input_edits_that_of_the_task(api: Caller) -> None:
    register("do: [{first: {wait: {days: 1}}}, {then: {set: '${ . }'}}]")
    made = start(input=b'{"n": 1}').id
    give_up(made)

    api.post(f"{PATH}/{made}/redeliver", {"input": {"n": 2}})

    [running] = [task for task in api.get(f"/instances/{made}/history").json["tasks"] if task["endedAt"] is None]
    assert (running["name"], running["input"]) == ("first", {"n": 2})


def test_retry_of_the_instance_does_the_same(api: Caller) -> None:
    made = letter()

    answer = api.post(f"/instances/{made}/retry", {})

    assert (answer.status, answer.json["status"]) == (200, "waiting")
    assert api.get(PATH).json["items"] == []


def test_what_was_taken_up_already_is_a_conflict(api: Caller) -> None:
    made = letter()
    api.post(f"{PATH}/{made}/redeliver")

    again = api.post(f"{PATH}/{made}/redeliver")

    assert (again.status, "waiting" in again.json["detail"]) == (409, True)


@pytest.mark.parametrize("body", [FAILING, ECHO], ids=["faulted by itself", "completed"])
def test_what_was_not_given_up_is_no_dead_letter(api: Caller, body: str) -> None:
    register(body)
    made = start().id

    assert api.get(PATH).json["items"] == []
    assert api.post(f"{PATH}/{made}/redeliver").status == 404


@pytest.mark.parametrize("name", ["x", "0193d2a8-0000-7000-8000-000000000000"])
def test_what_does_not_exist_is_not_found(api: Caller, name: str) -> None:
    assert api.post(f"{PATH}/{name}/redeliver").status == 404


def test_viewers_see_and_operators_redeliver(api: Caller) -> None:
    made, viewer, operator = letter(), caller("viewer"), caller("operator")

    assert [item["id"] for item in viewer.get(PATH).json["items"]] == [made]
    assert viewer.post(f"{PATH}/{made}/redeliver").status == 403
    assert operator.post(f"{PATH}/{made}/redeliver").status == 200
    assert Caller(None).get(PATH).status == 401


def test_a_foreign_namespace_does_not_exist(api: Caller) -> None:
    made, stranger = letter(), caller("operator", "theirs")
    own = letter("theirs")

    assert [item["id"] for item in stranger.get(PATH).json["items"]] == [own]
    assert stranger.post(f"{PATH}/{made}/redeliver").status == 404
    assert api.get(PATH).json["items"][-1]["id"] == made


def test_the_document_describes_both_routes(api: Caller) -> None:
    paths = api.get("/openapi.json").json["paths"]

    listing = paths["/api/v1/dead-letters"]["get"]
    redeliver = paths["/api/v1/dead-letters/{letter_id}/redeliver"]["post"]

    assert {each["name"] for each in listing["parameters"]} == {"kind", "limit", "cursor"}
    assert set(redeliver["requestBody"]["content"]["application/json"]["schema"]["properties"]) == {"reason", "input"}
