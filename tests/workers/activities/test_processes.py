"""`run: shell` and `run: script`, with real processes. Source: DSL reference; docs/dsl.md 35."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import spec
from tests.waiting import wait_until
from tests.workers.activities.calling import (
    LIMITS,
    Asked,
    all_of,
    failure_of,
    output_of,
    played,
    result_of,
    secret,
    short,
)
from tests.workers.activities.serving import reply, serving
from workers.activities import ActivityError, Cancellation

NO_NODE = replace(LIMITS, node="no-node-here")


def shell(command: str, **more: Any) -> Any:
    limits = more.pop("limits", LIMITS)
    return output_of("shell", {"command": command, **more}, limits=limits)


def script(code: str, language: str = "python", **more: Any) -> Any:
    limits = more.pop("limits", LIMITS)
    return output_of("script", {"language": language, "code": code, **more}, limits=limits)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; one that nobody waited for has not."""
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("stdout", "out\n"),
        ("stderr", "err"),
        ("code", 3),
        ("none", None),
        ("all", {"code": 3, "stdout": "out\n", "stderr": "err"}),
    ],
)
def test_a_process_gives_back_what_return_asks_for_also_when_it_fails(form: str, expected: object):
    output = shell(r"printf 'out\n\n'; printf 'err\r\n' >&2; exit 3", **{"return": form})

    assert output == expected


def test_a_process_that_was_killed_tells_its_signal():
    assert shell("kill -9 $$", **{"return": "code"}) == -9


@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [
        ('echo "$1|$2|$#"', ["a b", "$HOME"], "a b|$HOME|2"),
        ("printf '%s,' \"$@\"", ["a", "b"], "a,b,"),
        ("printf '%s,'", ["a b", "'; exit 9"], "a b,'; exit 9,"),
        ("echo $1 $2", {"name": "x", "n": 1}, "name=x n=1"),
        ("echo", [1, True, None, {"a": 1}], '1 true null {"a":1}'),
        ("echo ${HOME:+home} $$ >/dev/null; echo none", [], "none"),
    ],
)
def test_arguments_are_the_parameters_of_the_shell_and_go_to_the_end_of_a_command_that_reads_none(
    command: str, given: object, expected: str
):
    assert shell(command, arguments=given) == expected


@spec.needs_spec
def test_the_examples_of_the_specification_for_shells_and_scripts_give_what_they_say():
    shell_example = (spec.SPEC / "examples" / "run-shell-stdin-and-arguments.yaml").read_text()
    script_example = (spec.SPEC / "examples" / "run-script-with-stdin-and-arguments.yaml").read_text()

    of_shell = played(shell_example)
    of_script = played(script_example)

    assert result_of(of_shell) == "STDIN was: Hello World\nARGS are Foo Bar"
    assert result_of(of_script).splitlines() == ["stdin >  Hello Workflow", "arg >  hello", "env >  bar"]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import sys, json; print(json.dumps([sys.stdin.read(), sys.argv[1:]]))"),
        ("js", "console.log(JSON.stringify([require('fs').readFileSync(0, 'utf8'), process.argv.slice(2)]))"),
        (
            "JavaScript",
            "import fs from 'fs'\nconsole.log(JSON.stringify([fs.readFileSync(0, 'utf8'), process.argv.slice(2)]))",
        ),
    ],
)
def test_scripts_get_their_input_and_arguments(language: str, code: str):
    output = script(code, language, stdin="é\n", arguments=["a b", 2])

    assert json.loads(output) == ["é\n", ["a b", "2"]]


def test_an_input_that_is_no_text_is_json():
    assert shell("cat", stdin={"a": [1]}) == '{"a":[1]}'


@pytest.mark.parametrize("limits", [LIMITS, NO_NODE])
def test_javascript_has_console_arguments_environment_and_exit_codes_with_and_without_node(limits: Any):
    code = """
        const [, , name] = process.argv;
        console.log('hello', name, {a: 1}.a, process.env.GREETING);
        Promise.resolve().then(() => { console.error('late'); process.exit(4); });
    """

    output = script(code, "js", arguments=["ada"], environment={"GREETING": "hi"}, **{"return": "all"}, limits=limits)

    assert output == {"code": 4, "stdout": "hello ada 1 hi", "stderr": "late"}


@pytest.mark.parametrize(("limits", "says"), [(LIMITS, "boom"), (NO_NODE, "boom")])
def test_javascript_that_throws_ends_with_a_code_and_its_trace(limits: Any, says: str):
    output = script("throw new Error('boom')", "js", **{"return": "all"}, limits=limits)

    assert output["code"] == 1
    assert says in output["stderr"]


def test_modules_of_javascript_need_node():
    error = failure_of("script", {"language": "js", "code": "import fs from 'fs'"}, limits=NO_NODE)

    assert short(error) == ("configuration", 400)
    assert "lemline.processes.node" in str(error)


@pytest.mark.parametrize(
    ("arguments", "limits"),
    [
        ({"language": "ruby", "code": "1"}, LIMITS),
        ({"language": "python", "code": "1"}, replace(LIMITS, python="/no/python/here")),
    ],
)
def test_a_language_that_is_not_there_is_a_configuration_problem(arguments: dict[str, Any], limits: Any):
    assert short(failure_of("script", arguments, limits=limits)) == ("configuration", 400)


def test_a_process_sees_nothing_of_the_workers_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LEMLINE_SECRET_TOKEN", "s3cret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/d")

    output = shell("env", environment={"MINE": 1, "NONE": None, "KEY": secret("token")})

    names = {line.partition("=")[0] for line in output.splitlines()}
    assert names == {"PATH", "LANG", "TZ", "HOME", "PWD", "MINE", "KEY"}
    assert "MINE=1" in output
    assert "KEY=s3cret-t0ken" in output


def test_each_process_has_an_empty_folder_of_its_own_that_is_gone_afterwards():
    first, second = shell("pwd; ls; touch file"), shell("pwd; ls")

    assert first != second
    assert "\n" not in first
    assert not Path(first).exists()


def test_a_script_may_come_from_elsewhere():
    with serving(reply("print('from afar')")) as service:
        source = {"endpoint": {"uri": service.url, "authentication": {"bearer": {"token": "t"}}}}
        output = output_of("script", {"language": "python", "source": source})

        assert output == "from afar"
        assert service.last.headers["Authorization"] == "Bearer t"


def test_a_script_that_is_not_there_is_a_communication_problem():
    with serving(reply("no", 404)) as service:
        error = failure_of("script", {"language": "python", "source": {"endpoint": {"uri": service.url}}})

        assert short(error) == ("communication", 404)


def test_output_that_is_not_utf_8_is_readable_all_the_same():
    assert shell(r"printf '\377\376ab'") == "\ufffd\ufffdab"


@pytest.mark.parametrize("command", ["yes", "yes >&2", "yes & yes >&2"])
def test_an_endless_output_is_a_problem_and_ends_the_process(command: str):
    error = failure_of("shell", {"command": command}, limits=replace(LIMITS, output_bytes=100_000))

    assert short(error) == ("runtime", 500)
    assert "lemline.limits.output" in str(error)


@pytest.mark.parametrize("command", ["true", "exec <&-; echo still here", "head -c 10 >/dev/null"])
def test_a_process_that_does_not_want_its_input_ends_as_it_likes(command: str):
    output = shell(command, stdin="x" * 5_000_000, **{"return": "code"})

    assert output == 0


def test_what_a_process_leaves_behind_ends_with_it():
    output = shell("sleep 300 & echo $!")

    assert wait_until(lambda: is_gone(int(output)))


@pytest.mark.parametrize("command", ["exec sleep 300", "sleep 300 & (sleep 300 & wait) & wait"])
def test_a_timeout_kills_the_whole_group(command: str, tmp_path: Path):
    pids = tmp_path / "group"

    error = failure_of("shell", {"command": f"echo $$ > {pids}; {command}"}, timeout_seconds=0.3)

    assert short(error) == ("timeout", 408)
    assert not error.answered
    assert wait_until(lambda: not group_of(int(pids.read_text())))


def test_what_nobody_waits_for_any_more_is_killed(tmp_path: Path):
    pids = tmp_path / "group"

    async def cancel_midway() -> Any:
        cancelled = Cancellation()
        asked = Asked("shell", {"command": f"echo $$ > {pids}; sleep 300 & wait"}, cancelled=cancelled)
        task = asyncio.ensure_future(asked.run())
        await asyncio.to_thread(wait_until, lambda: pids.exists() and pids.read_text().strip())
        cancelled.set()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        return ended

    [error] = all_of(cancel_midway)

    assert isinstance(error, ActivityError)
    assert not error.answered
    assert wait_until(lambda: not group_of(int(pids.read_text())))


def test_no_process_and_no_descriptor_is_left_after_many():
    def work() -> Any:
        return Asked("shell", {"command": "echo x"}).run()

    before = len(list(Path("/proc/self/fd").iterdir()))
    all_of(*[work] * 20)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert children() == []


@pytest.mark.parametrize(
    ("language", "code", "limits"),
    [
        ("python", "x = 'a' * 10**10", LIMITS),
        ("js", "const a = []; for (;;) a.push(new Array(1e5).fill({}))", LIMITS),
        ("js", "const a = []; for (;;) a.push(new Array(1e5).fill({}))", NO_NODE),
    ],
)
def test_a_script_that_wants_all_memory_ends_alone(language: str, code: str, limits: Any):
    output = script(code, language, **{"return": "code"}, limits=replace(limits, process_bytes=128 * 1024 * 1024))

    assert output != 0


@pytest.mark.parametrize("arguments", [{"command": "a\0b"}, {"command": "echo", "arguments": ["x" * 5_000_000]}])
def test_what_the_system_cannot_start_is_a_configuration_problem(arguments: dict[str, Any]):
    assert short(failure_of("shell", arguments)) == ("configuration", 400)


@pytest.mark.parametrize("arguments", [{"arguments": "word"}, {"environment": ["A"]}])
def test_arguments_and_environments_of_another_shape_are_expression_problems(arguments: dict[str, Any]):
    assert short(failure_of("shell", {"command": "true", **arguments})) == ("expression", 400)


def test_a_process_that_is_not_awaited_gives_the_input_and_still_runs(tmp_path: Path):
    mark = tmp_path / "ran"

    view = played(f"do: [{{start: {{run: {{await: false, shell: {{command: 'touch {mark}'}}}}}}}}]", {"a": 1})

    assert result_of(view) == {"a": 1}


def group_of(leader: int) -> list[int]:
    """Return the processes of a group."""
    return _processes(lambda fields: int(fields[2]) == leader)


def children() -> list[int]:
    """Return our children, those that ended and were not waited for included."""
    return _processes(lambda fields: int(fields[1]) == os.getpid() and "sandbox" not in fields[0])


def _processes(wanted: Callable[[list[str]], bool]) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if wanted(fields):
            found.append(int(folder.name))
    return found
