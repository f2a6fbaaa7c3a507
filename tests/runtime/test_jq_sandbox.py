"""Helper processes: limits, replacement, and what becomes of an expression whose helper dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workflows.dsl.jq_programs import wrapped
from workflows.runtime import jq_worker
from workflows.runtime.jq_sandbox import JqSandbox

SECONDS = 30.0
MEMORY = 512 * 1024 * 1024
OUTPUT = 1_000_000
PATIENCE = 30.0


@pytest.fixture
def sandbox() -> Iterator[JqSandbox]:
    sandbox = JqSandbox(2, SECONDS, MEMORY, OUTPUT)
    yield sandbox
    sandbox.close()


def ask(sandbox: JqSandbox, program: str, value: object = None, **variables: object) -> str | None:
    return sandbox.run(wrapped(program, tuple(variables)), json.dumps({"t": 0, "v": value, "n": variables}))


def helpers() -> set[int]:
    """Return the ids of this process's living helpers."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = entry.joinpath("cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if parent == os.getpid() and b"jq_worker.py" in command:
            found.add(int(entry.name))
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "this does not come true"
        threading.Event().wait(0.01)


def test_a_result_is_json_text_and_nothing_without_one(sandbox):
    assert ask(sandbox, ".a", {"a": [1, "ü"]}) == '[1,"ü"]'
    assert ask(sandbox, "empty") is None
    assert ask(sandbox, "1, 2") == "1"
    assert ask(sandbox, "$x + 1", x=2) == "3"


def test_an_error_of_the_program_is_jqs_message_and_the_helper_lives_on(sandbox):
    ask(sandbox, ".")
    before = helpers()

    with pytest.raises(ValueError, match="no way"):
        ask(sandbox, 'error("no way")')
    with pytest.raises(ValueError, match="syntax error"):
        sandbox.run("((", "null")

    assert ask(sandbox, "1") == "1"
    assert helpers() == before


@pytest.mark.parametrize(
    "program", ["def f: f; f", "[recurse(1)] | length", "last(range(1e12))", "first(repeat(empty))"]
)
def test_an_endless_program_is_stopped_and_its_helper_replaced(program):
    sandbox = JqSandbox(1, 0.5, MEMORY, OUTPUT)
    ask(sandbox, ".")
    before = helpers()

    with pytest.raises(TimeoutError):
        ask(sandbox, program)

    assert ask(sandbox, "1") == "1"
    assert not helpers() & before
    sandbox.close()


@pytest.mark.parametrize(
    "program",
    [
        "[range(1e9)]",
        ". * 2e9 | length",
        "null | .[536870911] = 1",
        "def f: 1 + f; f",
        'reduce range(60) as $i ("xy"; . + .)',
    ],
)
def test_a_program_that_eats_memory_ends_its_helper_alone(program):
    sandbox = JqSandbox(1, PATIENCE, 128 * 1024 * 1024, OUTPUT)

    with pytest.raises(TimeoutError, match="memory"):
        ask(sandbox, program, "x")

    assert ask(sandbox, "1") == "1"
    sandbox.close()


@pytest.mark.parametrize("program", ["[range(2e5)]", "[range(2e5)] | tojson", "error([range(2e5)] | tojson)"])
def test_a_huge_result_or_message_is_refused(sandbox, program):
    with pytest.raises(TimeoutError, match="over 1000000 bytes"):
        ask(sandbox, program)

    assert ask(sandbox, "1") == "1"


def test_a_result_nested_deeply_is_an_error_or_text_and_no_crash(sandbox):
    ask(sandbox, ".")
    before = helpers()

    try:
        said = ask(sandbox, "reduce range(200000) as $i (0; [.])")
    except ValueError as error:
        said = str(error)

    assert said
    assert helpers() == before


def test_a_large_input_goes_through(sandbox):
    assert ask(sandbox, "length", "x" * 3_000_000) == "3000000"


def test_more_at_once_than_helpers_wait_for_their_turn(sandbox):
    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda number: ask(sandbox, "[range($n)] | add", n=number), range(1, 60)))

    assert said == [str(number * (number - 1) // 2) for number in range(1, 60)]
    assert len(helpers()) <= 2


def test_a_helper_killed_while_it_is_idle_is_replaced_and_the_expression_knows_nothing_of_it(sandbox):
    ask(sandbox, ".")
    (helper,) = helpers()

    os.kill(helper, signal.SIGKILL)

    assert ask(sandbox, "1") == "1"
    assert helper not in helpers()


def test_a_helper_killed_at_work_is_asked_anew():
    sandbox = JqSandbox(1, PATIENCE, MEMORY, OUTPUT)
    ask(sandbox, ".")
    (helper,) = helpers()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, sandbox, "last(range(1e6))")
        until(lambda: Path(f"/proc/{helper}/stat").read_text().split()[2] == "R")
        os.kill(helper, signal.SIGKILL)

        assert answer.result(PATIENCE) == "999999"
    sandbox.close()


def test_a_helper_killed_again_and_again_is_given_up():
    sandbox = JqSandbox(1, PATIENCE, MEMORY, OUTPUT)

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, sandbox, "def f: f; f")
        for _ in range(2):
            until(helpers)
            os.kill(helpers().pop(), signal.SIGKILL)
            until(lambda: not helpers() or answer.done())
        with pytest.raises(TimeoutError, match="killed twice"):
            answer.result(PATIENCE)
    assert ask(sandbox, "1") == "1"
    sandbox.close()


def test_a_stopped_helper_does_not_stop_who_asks():
    sandbox = JqSandbox(1, 0.5, MEMORY, OUTPUT)
    ask(sandbox, ".")
    (helper,) = helpers()

    os.kill(helper, signal.SIGSTOP)

    with pytest.raises(TimeoutError, match="longer than"):
        ask(sandbox, ".", "x" * 3_000_000)
    assert ask(sandbox, "1") == "1"
    sandbox.close()


def test_a_helper_that_cannot_start_costs_no_place(monkeypatch):
    sandbox = JqSandbox(1, SECONDS, MEMORY, OUTPUT)
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(OSError, match="nonexistent"):
        ask(sandbox, ".")
    monkeypatch.undo()

    assert ask(sandbox, "1") == "1"
    sandbox.close()


def test_helpers_know_nothing_of_the_environment_or_the_home_folder(tmp_path, monkeypatch):
    tmp_path.joinpath(".jq").write_text("def length: 42;")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SECRET_OF_THE_PROCESS", "sesame")
    sandbox = JqSandbox(1, SECONDS, MEMORY, OUTPUT)

    assert sandbox.run("[1, 2] | length | tojson", "null") == "2"
    assert "sesame" not in (sandbox.run("[env, $ENV] | tojson", "null") or "")
    sandbox.close()


def test_a_helper_whose_process_is_gone_ends_by_itself_even_at_work():
    program = [sys.executable, "-I", jq_worker.__file__, str(MEMORY), "0.1"]
    helper = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert helper.stdin is not None
    assert helper.stdout is not None
    assert helper.stdout.readline() == b"\n"

    helper.stdin.write(json.dumps("def f: f; f").encode() + b'\n"null"\n')
    helper.stdin.close()

    assert helper.wait(PATIENCE) == -signal.SIGXCPU
    helper.stdout.close()
