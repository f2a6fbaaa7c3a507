"""The command line as processes: what only a real one shows."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lemline_site.services.program import free_port
from tests.doors import ECHO, SLEEPER, text_of
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(process_environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start `manage.py lemline …` in an empty folder; whatever still runs at the end is killed."""
    processes = []

    def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "lemline", *map(str, arguments)],
            cwd=tmp_path,
            env={**process_environment, "DATABASE_URL": f"sqlite:///{tmp_path}/own.db", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background has SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def done(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def read_until(process: "subprocess.Popen[str]", text: str, *, error: bool = False) -> str:
    """Return the line that has a text."""
    stream = process.stderr if error else process.stdout
    assert stream is not None
    for line in stream:
        if text in line:
            return line
    raise AssertionError(f"it never said {text!r}")


def test_a_file_runs_where_there_is_nothing_else(begin: Start, file, tmp_path: Path):
    code, out, err = done(begin("workflow", "run", file(text_of(ECHO)), "--input", '{"a": "it\'s"}'))

    assert (code, json.loads(out)) == (0, {"a": "it's"})
    assert err.startswith("completed in ")
    assert not (tmp_path / "own.db").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("-Dlemline.databse.url=x",), {}, "unknown key lemline.databse.url; did you mean lemline.database.url?"),
        (("-D", "execution.lease=soon"), {}, "lemline.execution.lease=soon: a duration is wanted"),
        (("--config", "nowhere.yaml"), {}, "there is no configuration file nowhere.yaml"),
        ((), {"LEMLINE_DATABSE_URL": "x"}, "unknown variable LEMLINE_DATABSE_URL; did you mean LEMLINE_DATABASE_URL?"),
        ((), {"DATABASE_URL": "mysql://x"}, "'mysql' is not known; use postgresql:// or sqlite:///"),
    ],
)
def test_a_bad_configuration_stops_the_start_with_the_nearest_key(begin: Start, arguments, environment, said: str):
    code, out, err = done(begin("definition", "list", *arguments, **environment))

    assert (code, out) == (3, "")
    assert said in err


def test_the_command_line_comes_first_and_a_file_is_found_in_the_folder(begin: Start, tmp_path: Path):
    (tmp_path / "own.yaml").write_text("lemline: {web: {port: 9001, threads: 3}}\n")
    flags = ("-Dweb.port=9002", "--config", tmp_path / "own.yaml", "--format", "json")

    _, out, _ = done(begin("config", "list", *flags, PORT="9003"))

    rows = {row["key"]: (row["value"], row["source"]) for row in json.loads(out)}
    assert rows["lemline.web.port"] == ("9002", "-D")
    assert rows["lemline.web.threads"] == ("3", "own.yaml")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_behind(begin: Start, file, number: signal.Signals):
    path = file(text_of("do: [{hang: {run: {shell: {command: sleep 3600}}}}]"))
    process = begin("workflow", "run", path)
    read_until(process, "running /do/0/hang", error=True)
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(number)
    code, _, err = done(process)

    assert code == 130
    assert err == "error: interrupted\n"
    assert children
    assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == []


@pytest.mark.parametrize(
    "task",
    [
        "{run: {shell: {command: sleep 3600}}}",
        "{run: {script: {language: python, code: 'import time; time.sleep(3600)'}}}",
        "{call: http, with: {method: get, endpoint: 'http://127.0.0.1:PORT/'}}",
        "{call: cli/deaf}",
    ],
    ids=["shell", "script", "http", "function"],
)
def test_an_activity_that_hangs_does_not_outlive_the_timeout(begin: Start, file, task: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = file(text_of(f"do: [{{hang: {task.replace('PORT', str(silent.getsockname()[1]))}}}]"))

        code, out, err = done(begin("workflow", "run", path, "--timeout", "0.5", LEMLINE_ACTIVITIES="tests.cli.plug"))

    assert (code, out) == (8, "")
    assert "still running after 0.5 s (--timeout): /do/0/hang" in err


def test_a_reader_that_leaves_early_is_no_error(begin: Start):
    process = begin("config", "list")
    assert process.stdout is not None
    process.stdout.close()

    process.wait(PATIENCE_SECONDS)

    assert process.stderr is not None
    assert (process.returncode, process.stderr.read()) == (0, "")


def test_dev_serves_goes_on_and_keeps_its_credentials(begin: Start, file):
    port = free_port()
    process = begin("dev", "--port", port)
    key = read_until(process, "key ").split()[-1]
    done(begin("definition", "post", file(text_of(SLEEPER))))
    _, out, _ = done(begin("instance", "start", "tests/echo", "--format", "json"))

    process.send_signal(signal.SIGINT)
    code = done(process)[0]
    again = begin("dev", "--port", port)

    assert code == 0
    assert read_until(again, "key ").split()[-1] == key
    _, out, _ = done(begin("instance", "get", json.loads(out)["id"], "--format", "json"))
    assert json.loads(out)["status"] == "waiting"


def test_dev_says_when_its_port_is_taken(begin: Start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = done(begin("dev", PORT=str(taken.getsockname()[1])))

    assert (code, out) == (1, "")
    assert err.endswith("Address already in use; choose another with PORT=8081 or --port\n")


def test_a_database_is_served_by_one_dev_only(begin: Start):
    first = begin("dev", "--port", free_port())
    read_until(first, "API")

    code, _, err = done(begin("dev", "--port", free_port()))

    assert code == 1
    assert "serves this database already" in err


def test_what_hangs_does_not_keep_dev_from_ending(begin: Start, file):
    process = begin("dev", "--port", free_port(), LEMLINE_ACTIVITIES="tests.cli.plug")
    read_until(process, "API")
    branches = "[{a: {call: cli/deaf}}, {b: {run: {shell: {command: sleep 99}}}}]"
    path = file(text_of(f"do: [{{both: {{fork: {{branches: {branches}}}}}}}]"))
    done(begin("definition", "post", path, LEMLINE_ACTIVITIES="tests.cli.plug"))
    done(begin("instance", "start", "tests/echo"))
    wait_until(lambda: psutil.Process(process.pid).children())
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGTERM)

    assert done(process)[0] == 0
    assert psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1] == []
    _, out, _ = done(begin("instance", "list", "--format", "json"))
    assert json.loads(out)["items"][0]["status"] == "running"
