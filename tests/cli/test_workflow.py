"""`workflow run|validate`."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Lemline
from tests.doors import ECHO, FAILING, SLEEPER, text_of
from workflows.cli.exits import Exit

EXAMPLES = Path(__file__).parents[2] / "examples"

MISTAKEN = """\
document: {dsl: 1.0.3, namespace: tests, name: mistaken, version: 1.0.0}
do:
  - first:
      sett: {a: 1}
  - second:
      call: nobody/knows
"""


@pytest.mark.parametrize(
    ("name", "given", "output"),
    [("hello", '{"name": "Ada"}', {"greeting": "Hello, Ada!"}), ("retry", "{}", {"runs": 3})],
)
def test_an_example_runs_to_its_output(lemline: Lemline, name: str, given: str, output: object):
    done = lemline("workflow", "run", EXAMPLES / f"{name}.yaml", "--input", given)

    assert done.code is Exit.OK
    assert done.json == output
    assert done.err.startswith("completed in ")


def test_definition_or_input_may_come_from_stdin(lemline: Lemline, file):
    path, given = file(text_of(ECHO)), file('{"n": 12345678901234567890, "d": 1.10}', "input.json")

    one = lemline("workflow", "run", "-", "--input-file", given, stdin=text_of(ECHO))
    other = lemline("workflow", "run", path, "--input-file", "-", stdin='{"n": 1}')

    assert (one.code, other.code) == (Exit.OK, Exit.OK)
    assert "12345678901234567890" in one.out
    assert "1.10" in one.out
    assert other.json == {"n": 1}


@pytest.mark.parametrize("given", ["nope", "{'a': 1}", '{"a": 1', "", "\udcff"])
def test_input_that_is_no_json_is_refused_before_anything_runs(lemline: Lemline, given: str):
    done = lemline("workflow", "run", EXAMPLES / "hello.yaml", "--input", given)

    assert done.code is Exit.VALIDATION
    assert done.err.startswith("error: --input is not JSON: ")
    assert done.out == ""


def test_a_file_that_is_not_there_is_not_found(lemline: Lemline):
    done = lemline("workflow", "run", "nowhere.yaml")

    assert done.code is Exit.NOT_FOUND
    assert done.err == "error: there is no file nowhere.yaml\n"


def test_a_workflow_that_faults_leaves_its_problem(lemline: Lemline, file):
    done = lemline("workflow", "run", file(text_of(FAILING)))

    assert done.code is Exit.EXECUTION
    assert done.json["title"] == "Broken"
    assert done.json["instance"] == "/do/0/fail"
    assert done.err.startswith("error: faulted after ")


def test_a_workflow_that_takes_longer_than_its_timeout_is_left_where_it_stands(lemline: Lemline, file):
    done = lemline("workflow", "run", file(text_of(SLEEPER)), "--timeout", "0.1")

    assert done.code is Exit.TIMEOUT
    assert done.out == ""
    assert "still waiting after 0.1 s (--timeout): /do/0/nap" in done.err


def test_what_takes_longer_than_a_second_says_where_it_is(lemline: Lemline, file):
    path = file(text_of(SLEEPER))

    told, quiet = (lemline("workflow", "run", path, "--timeout", "1.2", *flags) for flags in ((), ("-q",)))

    assert told.err.splitlines()[0] == "waiting /do/0/nap"
    assert quiet.err.splitlines() == ["error: still waiting after 1.2 s (--timeout): /do/0/nap"]


def test_on_a_terminal_the_progress_is_one_line_that_changes(lemline: Lemline, file, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    done = lemline("workflow", "run", file(text_of(SLEEPER)), "--timeout", "1.2", "--no-color")

    assert (
        done.err == "\r\x1b[Kwaiting /do/0/nap (1 s)\r\x1b[Kerror: still waiting after 1.2 s (--timeout): /do/0/nap\n"
    )


def test_every_mistake_has_file_line_column_and_pointer(lemline: Lemline, file):
    path = file(MISTAKEN)

    checked, run = lemline("workflow", "validate", path), lemline("workflow", "run", path)

    assert (checked.code, run.code) == (Exit.VALIDATION, Exit.VALIDATION)
    first, second = checked.out.splitlines()
    assert first == f"{path}:4:7: /do/0/first/sett: 'sett' is no task (did you mean set?)"
    assert second.startswith(f"{path}:6:7: /do/1/second/call: there is no function 'nobody/knows'")
    assert (run.out, run.err) == ("", checked.out)


def test_mistakes_in_a_text_from_stdin_are_told_as_such(lemline: Lemline):
    done = lemline("workflow", "validate", "-", stdin=MISTAKEN)

    assert done.out.startswith("<stdin>:4:7: /do/0/first/sett: ")


def test_programs_get_the_mistakes_as_values(lemline: Lemline, file):
    good, bad = file(text_of(ECHO), "good.yaml"), file(MISTAKEN, "bad.yaml")

    done = lemline("workflow", "validate", good, bad, "--format", "json")

    assert done.code is Exit.VALIDATION
    assert [verdict["valid"] for verdict in done.json] == [True, False]
    assert done.json[1]["file"] == str(bad)
    assert done.json[1]["errors"][0] == {
        "pointer": "/do/0/first/sett",
        "line": 4,
        "column": 7,
        "message": "'sett' is no task",
        "hint": "did you mean set?",
    }


@pytest.mark.parametrize("spelling", [("--directory",), ()], ids=["flag", "argument"])
def test_of_a_directory_only_what_looks_like_a_definition_is_checked(lemline: Lemline, file, spelling):
    good = file(text_of(ECHO), "flows/good.yaml")
    other = file('{"cents": 3}', "flows/order.json")
    file(MISTAKEN, "flows/deep/bad.yml")

    flat = lemline("workflow", "validate", *spelling, good.parent)
    deep = lemline("workflow", "validate", *spelling, good.parent, "--recursive")

    assert (flat.code, deep.code) == (Exit.OK, Exit.VALIDATION)
    assert flat.err.splitlines() == [
        f"{other}: passed over, there is no `document` in it",
        f"{good}: valid (tests/echo:1.0.0)",
    ]
    assert "bad.yml:4:7: " in deep.out


def test_a_definition_of_another_age_is_not_passed_over(lemline: Lemline, file):
    old = file("id: old\nspecVersion: '0.8'\nstates: []\n", "flows/old.yaml")

    assert lemline("workflow", "validate", old.parent).code is Exit.VALIDATION


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2", "\x00", "a: &a [*a]", "just text", "document: {dsl: 0.8.0}"],
    ids=["empty", "unclosed", "nul", "endless", "text", "old"],
)
def test_a_text_that_is_no_definition_is_refused_with_its_place(lemline: Lemline, file, text: str):
    path = file(text)

    done = lemline("workflow", "validate", path)

    assert done.code is Exit.VALIDATION
    assert re.match(rf"{path}:[12]:\d: ", done.out)


def test_warnings_do_not_refuse(lemline: Lemline, file):
    path = file(text_of("do: [{nothing: null}]"))

    done = lemline("workflow", "validate", path)

    assert done.code is Exit.OK
    assert done.err.splitlines()[0].startswith(f"warning: {path}:2:")


def test_validating_asks_for_no_database(lemline: Lemline, file):
    assert lemline("workflow", "validate", file(text_of(ECHO))).code is Exit.OK


def test_a_function_of_this_installation_may_be_called_from_a_file(lemline: Lemline, file, configure):
    configure({"lemline.activities": "tests.cli.plug"})
    path = file(text_of("do: [{twice: {call: cli/twice, with: {text: ab}}}]"))

    checked, run = lemline("workflow", "validate", path), lemline("workflow", "run", path)

    assert (checked.code, run.code) == (Exit.OK, Exit.OK)
    assert run.json == "abab"


def test_activities_that_cannot_be_imported_are_a_mistake_of_the_configuration(lemline: Lemline, file, configure):
    configure({"lemline.activities": "no_such_module"})

    done = lemline("workflow", "run", file(text_of(ECHO)))

    assert done.code is Exit.CONFIGURATION
    assert "no_such_module" in done.err
