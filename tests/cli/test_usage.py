"""What is said to those who do not know the commands yet."""

import pytest

from tests.cli.conftest import Lemline
from tests.doors import ECHO, SLEEPER, register, start, text_of
from workflows.cli import output
from workflows.cli.exits import Exit

COMMANDS = {
    "workflow": ("run", "validate"),
    "definition": ("post", "get", "list", "delete"),
    "instance": ("start", "get", "list", "history", "suspend", "resume", "cancel", "retry", "watch"),
    "event": ("publish", "list", "listen"),
    "approval": ("list", "get", "answer", "link"),
    "webhook": ("create", "list", "get", "delete", "test"),
    "config": ("list", "get", "validate"),
    "debug": ("expression",),
    "admin": ("create-key", "list-keys", "revoke-key", "bootstrap", "cleanup"),
}


def test_help_names_every_command(lemline: Lemline):
    done = lemline("--help")

    assert done.code is Exit.OK
    assert [name for name in (*COMMANDS, "expression", "worker", "dev") if name not in done.out] == []


@pytest.mark.parametrize(("area", "verb"), [(area, verb) for area, verbs in COMMANDS.items() for verb in verbs])
def test_every_verb_says_what_it_does(lemline: Lemline, area: str, verb: str):
    done = lemline(area, verb, "--help")

    assert done.code is Exit.OK
    assert done.out.startswith(f"usage: lemline {area} {verb}")
    assert "--format" in done.out


def test_without_a_command_the_commands_are_listed(lemline: Lemline):
    nothing, area = lemline(), lemline("instance")

    assert (nothing.code, area.code) == (Exit.USAGE, Exit.USAGE)
    assert "Register, show and delete definitions." in nothing.err
    assert "Hold an instance" in area.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("workflw",), "'workflw' is no command; did you mean workflow?"),
        (("instance", "strat"), "'strat' is no verb; did you mean start?"),
        (("definition", "zzz"), "'zzz' is no verb; there are post, get, list, delete"),
        (("definition", "list", "--format", "xml"), "xml"),
        (("definition", "list", "--frmat", "json"), "--frmat"),
        (("definition", "list", "--form", "json"), "--form"),
        (("workflow", "run"), "FILE"),
        (("instance", "start", "a/b", "--id", "nope"), "'nope' is no instance id"),
        (("instance", "get", "nope"), "'nope' is no instance id"),
        (("instance", "start", "a/b", "--timeout", "soon"), "'soon' is no duration; write PT5M, 90s or 90"),
        (("instance", "start", "a/b", "--label", "loose"), "'loose' is no label; write key=value"),
        (("instance", "start", "/"), "names no workflow"),
        (("instance", "list", "--since", "tomorrow"), "'tomorrow' is no time; write 2026-01-31"),
        (("worker", "--roles", "http,cook"), "there is no role cook; choose from http, compute, io"),
        (("worker", "--roles", ","), "name at least one role"),
        (("workflow", "validate"), "name a file or a --directory"),
        (("definition", "delete", "a/b"), "say which version to delete"),
        (("config", "list", "--source", "moon"), "'moon' is no source; choose from default, preset, file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_a_command_is_answered_with_what_can(lemline: Lemline, arguments: tuple[str, ...], said: str):
    done = lemline(*arguments)

    assert done.code is Exit.USAGE
    assert said in done.err
    assert done.out == ""


def test_a_worker_without_a_broker_is_told_to_name_one(lemline: Lemline):
    done = lemline("worker", "--roles", "http")

    assert done.code is Exit.CONFIGURATION
    assert "BROKER_URL" in done.err


def test_flags_that_count_everywhere_stand_before_or_after_the_verb(lemline: Lemline, stored: str):
    register(ECHO)

    before, after = lemline("--format", "json", "definition", "list"), lemline("definition", "list", "--format", "json")

    assert before.json == after.json
    assert before.json["items"][0]["name"] == "echo"


def test_plurals_are_the_same_commands(lemline: Lemline, stored: str):
    register(ECHO)

    assert lemline("definitions", "list").out == lemline("definition", "list").out


def test_nothing_is_coloured_unless_on_a_terminal(lemline: Lemline, stored: str, monkeypatch: pytest.MonkeyPatch):
    register(SLEEPER)
    start()
    monkeypatch.delenv("NO_COLOR", raising=False)

    piped = lemline("instance", "list")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    on_terminal, declined = lemline("instance", "list"), lemline("instance", "list", "--no-color")

    assert "\x1b" not in piped.out
    assert "\x1b[34mwaiting" in on_terminal.out
    assert declined.out == piped.out


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:s3cret@db:5432/x", "postgresql://ada:***@db:5432/x"),
        ("redis://:s3cret@r/0", "redis://:***@r/0"),
        ("sqlite:///lemline.db", "sqlite:///lemline.db"),
        ("postgresql://db/x?a=b:c", "postgresql://db/x?a=b:c"),
    ],
)
def test_passwords_in_urls_are_not_shown(url: str, shown: str):
    assert output.masked(url) == shown


def test_quiet_leaves_results_and_errors(lemline: Lemline, file):
    path = file(text_of(ECHO))

    done, wrong = lemline("workflow", "run", path, "-q"), lemline("workflow", "run", "nowhere.yaml", "-q")

    assert (done.out, done.err) == ("{}\n", "")
    assert wrong.err == "error: there is no file nowhere.yaml\n"
