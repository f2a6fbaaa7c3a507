"""`definition post|get|list|delete`."""

import pytest

from tests.cli.conftest import Lemline
from tests.doors import ECHO, SLEEPER, register, start, text_of
from workflows.cli.exits import Exit
from workflows.models import AuditEntry, Definition


def test_posting_registers_once_and_says_so(lemline: Lemline, stored: str, file):
    path = file(text_of(ECHO))

    first, second = (lemline("definition", "post", path, "--format", "json") for _ in range(2))

    assert [done.json[0]["result"] for done in (first, second)] == ["registered", "unchanged"]
    assert Definition.objects.get().text == path.read_text()


def test_posting_from_stdin_and_from_files_with_and_without_flag(lemline: Lemline, stored: str, file):
    one, other = (file(text_of(ECHO, name=name), f"{name}.yaml") for name in ("one", "other"))

    done = lemline("definition", "post", one, "-", "--file", other, stdin=text_of(ECHO, name="third"))

    assert done.code is Exit.OK
    assert sorted(Definition.objects.values_list("name", flat=True)) == ["one", "other", "third"]


def test_a_bad_file_does_not_keep_the_others_from_being_registered(lemline: Lemline, stored: str, file):
    bad, good = file("do: [", "flows/a.yaml"), file(text_of(ECHO), "flows/b.yaml")

    done = lemline("definition", "post", "-d", bad.parent)

    assert done.code is Exit.VALIDATION
    assert f"{bad}:" in done.err
    assert str(good) in done.out
    assert Definition.objects.count() == 1


def test_another_text_of_a_version_needs_force(lemline: Lemline, stored: str, file):
    register(ECHO)
    path = file(text_of(SLEEPER))

    refused, forced = lemline("definition", "post", path), lemline("definition", "post", path, "--force")

    assert refused.code is Exit.OTHER
    assert refused.err.startswith(f"error: {path}: ")
    assert "1.0.0" in refused.err
    assert forced.code is Exit.OK


def test_validate_only_registers_nothing(lemline: Lemline, stored: str, file):
    done = lemline("definition", "post", file(text_of(ECHO)), "--validate-only", "--format", "json")

    assert done.json[0]["result"] == "valid"
    assert not Definition.objects.exists()


def test_getting_gives_the_text_as_it_was_or_its_values(lemline: Lemline, stored: str):
    register(ECHO)

    text, values = (lemline("definition", "get", "tests/echo", *flags) for flags in ((), ("--format", "json")))

    assert text.out == text_of(ECHO).rstrip() + "\n"
    assert values.json["do"] == [{"echo": {"set": "${ . }"}}]


@pytest.mark.parametrize("spelling", ["tests/echo", "tests.echo", "tests/echo:1.0.0"])
def test_a_definition_is_named_in_several_ways(lemline: Lemline, stored: str, spelling: str):
    register(ECHO)

    assert lemline("definition", "get", spelling).code is Exit.OK


def test_the_latest_version_is_meant_when_none_is_said(lemline: Lemline, stored: str):
    for version in ("1.9.0", "1.10.0"):
        register(ECHO, version=version)

    latest, named = lemline("definition", "get", "tests/echo"), lemline("definition", "get", "tests/echo", "1.9.0")

    assert "version: 1.10.0" in latest.out
    assert "version: 1.9.0" in named.out


@pytest.mark.parametrize("name", ["tests/nothing", "nothing", "tests/echo:2.0.0"])
def test_what_is_not_registered_is_not_found(lemline: Lemline, stored: str, name: str):
    register(ECHO)

    done = lemline("definition", "get", name)

    assert done.code is Exit.NOT_FOUND
    assert done.err.startswith("error: the workflow ")


def test_a_list_goes_on_where_it_was_cut(lemline: Lemline, stored: str):
    for name in ("one", "two", "three"):
        register(ECHO, name=name)

    first = lemline("definition", "list", "--limit", "2")
    cursor = first.err.removeprefix("more: --cursor ").strip()
    second = lemline("definition", "list", "--limit", "2", "--cursor", cursor)

    names = [line.split()[1] for done in (first, second) for line in done.out.splitlines()[1:]]
    assert sorted(names) == ["one", "three", "two"]


@pytest.mark.parametrize("limit", ["0", "-1", "501", "all"])
def test_a_limit_out_of_range_is_refused(lemline: Lemline, stored: str, limit: str):
    done = lemline("definition", "list", f"--limit={limit}")

    assert done.code is Exit.USAGE
    assert "write a number from 1 to 500" in done.err


def test_deleting_asks_first_and_does_nothing_when_nobody_is_there(lemline: Lemline, stored: str):
    register(ECHO)

    asked = lemline("definition", "delete", "tests/echo", "1.0.0", stdin="y\n")
    sure = lemline("definition", "delete", "tests/echo", "1.0.0", "--yes")

    assert asked.code is Exit.USAGE
    assert "Say --yes" in asked.err
    assert sure.code is Exit.OK
    assert lemline("definition", "get", "tests/echo").code is Exit.NOT_FOUND


@pytest.mark.parametrize(("answer", "code"), [("y\n", Exit.OK), ("n\n", Exit.OTHER), ("", Exit.OTHER)])
def test_on_a_terminal_only_yes_deletes(
    lemline: Lemline, stored: str, monkeypatch: pytest.MonkeyPatch, answer: str, code: Exit
):
    register(ECHO)
    monkeypatch.setattr("io.TextIOWrapper", _terminal(answer))

    done = lemline("definition", "delete", "tests/echo:1.0.0", stdin=answer)

    assert done.code is code
    assert "Delete tests/echo:1.0.0? [y/N]" in done.err


def test_a_definition_with_open_instances_is_deleted_by_force_only(lemline: Lemline, stored: str):
    register(SLEEPER)
    start()

    refused = lemline("definition", "delete", "tests/echo:1.0.0", "--yes")
    forced = lemline("definition", "delete", "tests/echo:1.0.0", "--yes", "--force")

    assert refused.code is Exit.OTHER
    assert "force" in refused.err
    assert forced.code is Exit.OK


def test_what_is_done_here_stands_in_the_audit_under_the_systems_user(lemline: Lemline, stored: str, file):
    lemline("definition", "post", file(text_of(ECHO)))

    entry = AuditEntry.objects.order_by("pk").last()

    assert entry is not None
    assert "cli" in str(entry.__dict__)


def _terminal(text: str) -> type:
    """A stdin with somebody in front of it."""
    import io

    class Terminal(io.StringIO):
        def __init__(self, *_: object) -> None:
            super().__init__(text)

        def isatty(self) -> bool:
            return True

    return Terminal
