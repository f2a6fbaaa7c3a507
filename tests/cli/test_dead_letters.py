"""`admin dead-letters list|redeliver`."""

from tests.cli.conftest import Lemline
from tests.doors import FAILING, SLEEPER, give_up, register, start
from workflows.cli.exits import Exit
from workflows.models import AuditEntry


def letter() -> str:
    register(SLEEPER)
    made = start().id
    give_up(made, "the value is refused")
    return made


def test_dead_letters_are_listed_with_workflow_and_reason(stored: str, lemline: Lemline) -> None:
    made = letter()

    shown = lemline("admin", "dead-letters", "list")
    whole = lemline("admin", "dead-letters", "list", "--kind", "instance", "--format", "json").json

    assert shown.code == Exit.OK
    assert made in shown.out
    assert "tests/echo:1.0.0" in shown.out
    assert "the value is refused" in shown.out
    assert ([item["id"] for item in whole["items"]], whole["next"]) == ([made], None)
    assert lemline("admin", "dead-letters", "list", "--kind", "event", "--format", "json").json["items"] == []


def test_pages_follow_each_other(stored: str, lemline: Lemline) -> None:
    made = {letter(), letter()}

    first = lemline("admin", "dead-letters", "list", "--limit", "1", "--format", "json").json
    cursor = first["next"]
    second = lemline("admin", "dead-letters", "list", "--limit", "1", "--cursor", cursor, "--format", "json").json

    assert {item["id"] for item in first["items"] + second["items"]} == made
    assert cursor in lemline("admin", "dead-letters", "list", "--limit", "1").err


def test_redelivering_takes_it_up_again_and_is_recorded(stored: str, lemline: Lemline) -> None:
    made = letter()

    done = lemline("admin", "dead-letters", "redeliver", made, "--reason", "mended", "--input", '{"n": 2}')

    assert (done.code, f"{made} is waiting" in done.err) == (Exit.OK, True)
    assert lemline("admin", "dead-letters", "list", "--format", "json").json["items"] == []
    assert AuditEntry.objects.get(action="instance.redeliver", subject=made).reason == "mended"


def test_what_is_none_is_not_found(stored: str, lemline: Lemline) -> None:
    register(FAILING)
    made = start().id

    done = lemline("admin", "dead-letters", "redeliver", made)

    assert (done.code, "no dead letter" in done.err) == (Exit.NOT_FOUND, True)
