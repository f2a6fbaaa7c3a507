"""`instance start|get|list|history|suspend|resume|cancel|retry|watch`."""

from uuid import uuid4

import pytest

from tests.cli.conftest import Lemline
from tests.doors import ECHO, FAILING, SLEEPER, register, start
from workflows.cli.exits import Exit

TWICE = "do: [{one: {set: '${ . }'}}, {two: {raise: {error: {type: about:broken, status: 500, title: Broken}}}}]"


def test_an_instance_starts_with_what_it_is_given(lemline: Lemline, stored: str):
    register(ECHO)
    chosen = uuid4()

    done = lemline(
        *("instance", "start", "tests/echo", "1.0.0", "--format", "json"),
        *("--input", '{"n": 1.10}', "--priority", "1", "--label", "team=a", "--label", "tier:b", "--id", chosen),
    )

    assert done.code is Exit.OK
    assert '"n": 1.10' in done.out
    shown = done.json
    assert (shown["id"], shown["priority"], shown["labels"]) == (str(chosen), 1, {"team": "a", "tier": "b"})
    assert (shown["status"], shown["output"]) == ("completed", {"n": 1.1})


def test_the_same_key_starts_one_instance_only(lemline: Lemline, stored: str):
    register(ECHO)
    command = ("instance", "start", "tests/echo", "--idempotency-key", "k", "--format", "json")

    first, again, other = lemline(*command), lemline(*command), lemline(*command, "--input", "1")

    assert first.json["id"] == again.json["id"]
    assert other.code is Exit.OTHER


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("tests/nothing",), Exit.NOT_FOUND, "tests/nothing does not exist"),
        (("tests/echo", "2.0.0"), Exit.NOT_FOUND, "has no version 2.0.0; registered: 1.0.0"),
        (("tests/echo", "--input", "nope"), Exit.VALIDATION, "--input is not JSON"),
        (("tests/echo", "--priority", "9"), Exit.VALIDATION, "priority"),
        (("tests/echo", "--priority", "high"), Exit.USAGE, "--priority"),
        (("tests/echo", "--input-file", "nowhere.json"), Exit.NOT_FOUND, "there is no file nowhere.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_start_says_why(lemline: Lemline, stored: str, arguments, code: Exit, said: str):
    register(ECHO)

    done = lemline("instance", "start", *arguments)

    assert done.code is code
    assert said in done.err


def test_waiting_for_the_end_gives_the_output_or_the_problem(lemline: Lemline, stored: str):
    register(ECHO)
    register(FAILING, name="failing")

    command = ("--wait", "--format", "json")
    good, bad = (lemline("instance", "start", f"tests/{name}", *command) for name in ("echo", "failing"))

    assert (good.code, good.json["status"]) == (Exit.OK, "completed")
    assert (bad.code, bad.json["error"]["title"]) == (Exit.EXECUTION, "Broken")


def test_waiting_ends_with_the_timeout_and_the_instance_goes_on(lemline: Lemline, stored: str):
    register(SLEEPER)

    started = lemline("instance", "start", "tests/echo", "--wait", "--timeout", "0.1")
    watched = lemline("instance", "watch", started.err.split()[0], "--timeout", "100ms")

    assert (started.code, watched.code) == (Exit.TIMEOUT, Exit.TIMEOUT)
    assert "waiting /do/0/nap" in watched.err
    assert "is still waiting after 0.1 s; it goes on" in watched.err


def test_an_instance_is_shown_line_by_line_to_people(lemline: Lemline, stored: str):
    register(SLEEPER)
    view = start(input=b'{"a": 1}')

    done = lemline("instance", "get", view.id, "--history")

    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines() if len(line.split()) > 1)
    assert (lines["workflow"], lines["status"], lines["input"]) == ("tests/echo:1.0.0", "waiting", '{"a":1}')
    assert "/do/0/nap" in done.out


def test_an_unknown_instance_is_not_found(lemline: Lemline, stored: str):
    commands = ("get", "history", "watch", "suspend", "resume", "cancel", "retry")

    codes = {name: lemline("instance", name, uuid4()).code for name in commands}

    assert codes == dict.fromkeys(commands, Exit.NOT_FOUND)


def test_a_list_is_narrowed_by_workflow_status_and_label(lemline: Lemline, stored: str):
    register(ECHO)
    register(SLEEPER, name="sleeper")
    start(), start(labels={"team": "a"}), start("sleeper")

    def found(*flags: str) -> int:
        return len(lemline("instance", "list", *flags, "--format", "json").json["items"])

    assert found() == 3
    assert (found("tests/echo"), found("tests.sleeper"), found("tests/echo:2.0.0")) == (2, 1, 0)
    assert (found("--status", "waiting"), found("--status", "completed"), found("--label", "team=a")) == (1, 2, 1)
    assert (found("--since", "2000-01-01"), found("--until", "2000-01-01T00:00:00Z")) == (3, 0)


def test_an_unknown_status_is_refused_with_those_that_there_are(lemline: Lemline, stored: str):
    done = lemline("instance", "list", "--status", "happy")

    assert done.code is Exit.VALIDATION
    assert "suspended" in done.err


def test_the_history_has_runs_and_phases(lemline: Lemline, stored: str):
    register(TWICE)
    view = start()

    values, text = (lemline("instance", "history", view.id, *flags) for flags in (("--format", "json"), ()))

    assert [(run["name"], run["status"]) for run in values.json["tasks"]] == [("one", "completed"), ("two", "faulted")]
    assert values.json["phases"][-1]["status"] == "faulted"
    assert "/do/1/two" in text.out


def test_an_instance_is_suspended_resumed_and_cancelled_with_a_reason(lemline: Lemline, stored: str):
    register(SLEEPER)
    view = start()

    def status_after(verb: str, *flags: str) -> str:
        done = lemline("instance", verb, view.id, "--reason", f"{verb} it", "--format", "json", *flags)
        assert done.code is Exit.OK, done.err
        return str(done.json["status"])

    assert status_after("suspend", "--duration", "PT1H") == "suspended"
    assert status_after("resume") == "waiting"
    assert status_after("cancel") == "cancelled"
    phases = lemline("instance", "history", view.id, "--format", "json").json["phases"]
    assert [phase["reason"] for phase in phases if phase.get("reason")] == ["suspend it", "resume it", "cancel it"]


def test_a_verb_that_the_phase_forbids_says_which_phases_allow_it(lemline: Lemline, stored: str):
    register(ECHO)
    view = start()

    done = lemline("instance", "suspend", view.id)

    assert done.code is Exit.OTHER
    assert "completed" in done.err
    assert "running" in done.err


def test_a_faulted_instance_is_retried_from_where_one_says(lemline: Lemline, stored: str):
    register("do: [{one: {set: '${ . }'}}, {two: {if: '${ .bad }', raise: {error: {type: about:b, status: 500}}}}]")
    first, second, third = (start(input=b'{"bad": true}') for _ in range(3))

    again = lemline("instance", "retry", first.id, "--format", "json")
    place = ("--from-position", "/do/1/two", "--input", "{}")
    edited = lemline("instance", "retry", second.id, *place, "--format", "json")
    anew = lemline("instance", "retry", third.id, "--from-beginning", "--input", '{"n": 1}', "--format", "json")

    assert again.json["status"] == "faulted"
    assert (edited.json["status"], edited.json["output"]) == ("completed", {})
    assert (anew.json["status"], anew.json["output"]) == ("completed", {"n": 1})


def test_watching_what_has_ended_gives_its_result_at_once(lemline: Lemline, stored: str):
    register(ECHO)
    register(FAILING, name="failing")

    good, bad = (lemline("instance", "watch", start(name).id) for name in ("echo", "failing"))

    assert (good.code, bad.code) == (Exit.OK, Exit.EXECUTION)
    assert good.err == "completed\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_programs_get_numbers_as_they_were_given(lemline: Lemline, stored: str, form: str):
    register(ECHO)
    view = start(input=b'{"d": 0.10, "n": 123456789012345678901234567890}')

    done = lemline("instance", "get", view.id, "--format", form)

    assert "0.10" in done.out
    assert "123456789012345678901234567890" in done.out
