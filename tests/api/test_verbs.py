"""`POST /instances/{id}/suspend | resume | cancel | retry`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.doors import ECHO, FAILING, SLEEPER, Caller, register, start
from workflows.models import AuditEntry

CALL = "do: [{call: {call: http, with: {method: get, endpoint: 'http://127.0.0.1:9'}}}]"
"""Stays open, since nobody works here."""

MAYBE = "do: [{first: {set: '${ . }'}}, {maybe: {if: '${ .bad }', raise: {error: {type: about:bad, status: 500}}}}]"
"""Faults for `{"bad": true}`."""

PHASES = ("pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed")

ALLOWED = {
    "suspend": {"pending": "suspended", "running": "suspended", "waiting": "suspended", "suspended": "suspended"},
    "resume": {"pending": "pending", "running": "running", "waiting": "waiting", "suspended": "waiting"},
    "cancel": {**dict.fromkeys(("pending", "running", "waiting", "suspended", "cancelled"), "cancelled")},
    "retry": {"cancelled": "waiting", "faulted": "faulted"},
}
"""Verb to the phases that allow it, and where it leads from there; 409 from everywhere else."""


def brought_to(phase: str, api: Caller) -> str:
    """Return the id of an instance in this phase."""
    bodies = {"running": CALL, "faulted": FAILING, "completed": ECHO}
    register(bodies.get(phase, SLEEPER))
    later = datetime.now(UTC) + timedelta(days=1) if phase == "pending" else None
    made = start(start_at=later).id
    verb = {"suspended": "suspend", "cancelled": "cancel"}.get(phase)
    if verb:
        api.post(f"/instances/{made}/{verb}")
    assert api.get(f"/instances/{made}").json["status"] == phase
    return made


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("verb", ALLOWED)
def test_each_verb_in_each_phase(api: Caller, verb: str, phase: str) -> None:
    made = brought_to(phase, api)

    answer = api.post(f"/instances/{made}/{verb}")

    if phase in ALLOWED[verb]:
        assert (answer.status, answer.json["id"], answer.json["status"]) == (200, made, ALLOWED[verb][phase])
    else:
        assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
        assert phase in answer.json["detail"]
        assert api.get(f"/instances/{made}").json["status"] == phase


@pytest.mark.parametrize("verb", ALLOWED)
@pytest.mark.parametrize("name", ["01a21319-da7a-73cb-966a-28cb6e1a69d5", "xyz"])
def test_no_verb_finds_an_instance_that_is_not_there(api: Caller, verb: str, name: str) -> None:
    assert api.post(f"/instances/{name}/{verb}").status == 404


@pytest.mark.parametrize("verb", ["suspend", "resume", "cancel"])
def test_a_verb_is_recorded_once_with_who_and_why(api: Caller, verb: str) -> None:
    made = brought_to("suspended" if verb == "resume" else "waiting", api)

    for _ in range(2):
        api.post(f"/instances/{made}/{verb}", {"reason": "because"})

    entry = AuditEntry.objects.get(action=f"instance.{verb}", reason="because")
    assert (entry.subject, entry.by, entry.door) == (made, "key admin of tests", "api")


def test_a_refused_verb_is_not_recorded(api: Caller) -> None:
    made = brought_to("completed", api)

    api.post(f"/instances/{made}/cancel")

    assert not AuditEntry.objects.filter(action="instance.cancel").exists()


def test_suspend_may_say_when_to_go_on(api: Caller) -> None:
    made = brought_to("waiting", api)

    answer = api.post(f"/instances/{made}/suspend", {"resumeAfter": "PT1H"})

    assert answer.json["status"] == "suspended"


@pytest.mark.parametrize(
    "duration", ["1h", "-PT1H", "Pxx", "", 5, {"hours": 1}, "P999999999D", "P99999999999999999999D"]
)
def test_a_duration_that_cannot_be_is_refused(api: Caller, duration: object) -> None:
    made = brought_to("waiting", api)

    answer = api.post(f"/instances/{made}/suspend", {"resumeAfter": duration})

    assert answer.status == 400
    assert answer.json["errors"][0]["pointer"] == "/resumeAfter"
    assert api.get(f"/instances/{made}").json["status"] == "waiting"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reasn": "x"}, "/reasn"),
        ({"reason": 1}, "/reason"),
        ({"reason": "x" * 2001}, "/reason"),
        ({"reason": "\x00"}, "/reason"),
        ([], ""),
        (b"{", ""),
        (b'"\xff"', ""),
    ],
)
@pytest.mark.parametrize("verb", ALLOWED)
def test_a_body_that_cannot_be_read_changes_nothing(api: Caller, verb: str, body: object, pointer: str) -> None:
    phase = {"resume": "suspended", "retry": "faulted"}.get(verb, "waiting")
    made = brought_to(phase, api)

    answer = api.post(f"/instances/{made}/{verb}", body)

    assert answer.status == 400
    assert answer.json["errors"][0]["pointer"] == pointer
    assert api.get(f"/instances/{made}").json["status"] == phase


def test_the_longest_reason_is_kept(api: Caller) -> None:
    made = brought_to("waiting", api)

    api.post(f"/instances/{made}/cancel", {"reason": "é" * 2000})

    assert api.get(f"/instances/{made}/history").json["phases"][-1]["reason"] == "é" * 2000


def test_a_second_retry_while_the_first_runs_is_a_conflict(api: Caller) -> None:
    register(CALL)
    made = start().id
    api.post(f"/instances/{made}/cancel")

    first, second = api.post(f"/instances/{made}/retry"), api.post(f"/instances/{made}/retry")

    assert (first.status, first.json["status"], second.status) == (200, "running", 409)


def test_retry_from_the_failed_task_takes_the_input_that_it_failed_with(api: Caller) -> None:
    register(MAYBE)
    made = start(input=b'{"bad":true}').id

    answer = api.post(f"/instances/{made}/retry", {"from": "failed"})

    assert answer.json["status"] == "faulted"
    tasks = api.get(f"/instances/{made}/history").json["tasks"]
    assert [task["name"] for task in tasks] == ["first", "maybe", "maybe"]
    assert tasks[-1]["input"] == {"bad": True}


def test_retry_with_an_edited_input_goes_through(api: Caller) -> None:
    register(MAYBE)
    made = start(input=b'{"bad":true}').id

    answer = api.post(f"/instances/{made}/retry", b'{"input": {"bad": false, "n": 1.10}, "reason": "mended"}')

    assert answer.json["status"] == "completed"
    assert b'"output":{"bad":false,"n":1.10}' in answer.bytes
    assert answer.json["error"] is None


@pytest.mark.parametrize("text", [b"null", b"[]", b"0", b'""'])
def test_an_edited_input_may_be_any_json_also_null(api: Caller, text: bytes) -> None:
    register("do: [{check: {if: '${ type == \"object\" }', raise: {error: {type: about:bad, status: 500}}}}]")
    made = start().id

    answer = api.post(f"/instances/{made}/retry", b'{"input":' + text + b"}")

    assert b'"output":' + text in answer.bytes


def test_retry_from_the_beginning_runs_everything_again(api: Caller) -> None:
    register(MAYBE)
    made = start(input=b'{"bad":true}').id

    with_old = api.post(f"/instances/{made}/retry", {"from": "beginning"}).json["status"]
    with_new = api.post(f"/instances/{made}/retry", {"from": "beginning", "input": {"bad": False}}).json

    assert (with_old, with_new["status"]) == ("faulted", "completed")
    names = [task["name"] for task in api.get(f"/instances/{made}/history").json["tasks"]]
    assert names == ["first", "maybe"] * 3


def test_retry_from_a_position_takes_its_last_recorded_input(api: Caller) -> None:
    register(MAYBE)
    made = start(input=b'{"bad":true}').id

    answer = api.post(f"/instances/{made}/retry", {"from": "/do/0/first"})

    assert answer.json["status"] == "faulted"
    tasks = api.get(f"/instances/{made}/history").json["tasks"]
    assert [task["name"] for task in tasks] == ["first", "maybe", "first", "maybe"]


def test_retry_from_a_position_with_an_input(api: Caller) -> None:
    register(MAYBE)
    made = start(input=b'{"bad":true}').id

    answer = api.post(f"/instances/{made}/retry", {"from": "/do/0/first", "input": {"bad": False}})

    assert (answer.json["status"], answer.json["output"]) == ("completed", {"bad": False})


def test_a_position_that_never_ran_needs_an_input(api: Caller) -> None:
    register(f"{FAILING[:-1]}, {{after: {{set: '${{ . }}'}}}}]")
    made = start().id

    without = api.post(f"/instances/{made}/retry", {"from": "/do/1/after"})
    given = api.post(f"/instances/{made}/retry", {"from": "/do/1/after", "input": 1})

    assert (without.status, given.status) == (409, 200)
    assert "input" in without.json["detail"]
    assert (given.json["status"], given.json["output"]) == ("completed", 1)


def test_an_input_that_was_too_large_for_the_history_must_be_given_again(
    api: Caller, configure: Callable[[Mapping[str, str]], None]
) -> None:
    configure({"lemline.history.max-value": "1K"})
    register(FAILING)
    made = start(input=b'"' + b"x" * 2000 + b'"').id

    by_position = api.post(f"/instances/{made}/retry", {"from": "/do/0/fail"})
    by_fault = api.post(f"/instances/{made}/retry", {"from": "failed"})

    assert by_position.status == 409
    assert "too large" in by_position.json["detail"]
    assert (by_fault.status, by_fault.json["status"]) == (200, "faulted")


@pytest.mark.parametrize("position", ["/do/7/none", "/", "/do", "/do/0/first/", "/do/0/first/set", "/../../do/0/first"])
def test_a_position_that_is_no_task_is_a_conflict(api: Caller, position: str) -> None:
    register(MAYBE)
    made = start(input=b'{"bad":true}').id

    without = api.post(f"/instances/{made}/retry", {"from": position})
    given = api.post(f"/instances/{made}/retry", {"from": position, "input": {}})

    assert (without.status, given.status) == (409, 409)
    assert api.get(f"/instances/{made}").json["status"] == "faulted"


@pytest.mark.parametrize("place", ["nowhere", "", "do/0/first", "/\x00", None, 1])
def test_a_place_that_cannot_be_read_is_refused(api: Caller, place: object) -> None:
    register(FAILING)

    answer = api.post(f"/instances/{start().id}/retry", {"from": place})

    assert answer.status == 400
    assert answer.json["errors"][0]["pointer"] == "/from"
