"""`make up`: what keeps it from starting, and what a killed predecessor leaves behind."""

import fcntl
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemline_site.credentials import credentials
from lemline_site.services import postgresql as service
from lemline_site.services.program import Program, free_port, is_taken, kept_port, running
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

Up = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def up(process_environment: dict[str, str], tmp_path: Path) -> Iterator[Up]:
    """Start `make up` on a data folder of its own; whatever still runs at the end is stopped."""
    processes = []

    def start(**environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "lemline_site.up"],
            cwd=ROOT,
            env=process_environment
            | {"DATABASE_URL": "sqlite:///x", "LEMLINE_DATA_DIR": str(tmp_path), "PORT": str(free_port())}
            | {"FLOWER_PORT": str(free_port())}
            | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("variable", ["PORT", "FLOWER_PORT"])
def test_a_port_that_is_taken_is_named_before_anything_starts(up: Up, tmp_path: Path, variable: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = up(**{variable: str(port)})
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 3
    assert said == f"make up: port {port} is taken; choose another: {variable}={port + 1} make up\n"
    assert not (tmp_path / "postgresql").exists()


def test_a_second_one_in_a_folder_is_told_about_the_first(up: Up, tmp_path: Path):
    with (tmp_path / "up.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = up()
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 3
    assert said == "make up: it runs in this folder already, as process 4711\n"


def test_it_tells_its_addresses_when_everybody_serves_and_nothing_else(up: Up, servers: Path):
    data = servers / "up"
    process = up(LEMLINE_DATA_DIR=str(data), LEMLINE_DEV_API_KEY="a-key-of-tests", FLOWER_UNAUTHENTICATED_API="true")
    assert process.stdout is not None

    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)

    text = "".join(line for line in lines if " ready." not in line)
    assert text.startswith("starting ...\n\n  API      http://127.0.0.1:")
    assert [
        name for name in ("a-key-of-tests", "Docs", "Admin", "Flower", "export BROKER_URL=") if name not in text
    ] == []
    assert " | " not in text
    assert "stopping; what is open goes on at the next start ..." in rest
    assert process.returncode == 0
    assert (data / "up.lock").read_text() == ""


def test_a_dead_postgresql_that_nobody_buried_does_not_keep_the_next_from_starting(servers: Path):
    folder = servers / "zombie"
    with running(service.postgresql(folder), servers / "zombie.log"):
        pass
    dead = subprocess.Popen(["true"])
    wait_until(lambda: Path(f"/proc/{dead.pid}/stat").read_text().split()[2] == "Z")
    note = Path(service.postgresql(folder).folder or folder) / "data" / "postmaster.pid"
    note.write_text(f"{dead.pid}\n{note.parent}\n")

    with running(service.postgresql(folder), servers / "zombie.log") as program:
        answers = program.is_ready()

    dead.wait()
    assert answers


def test_a_port_is_kept_when_the_one_who_has_it_is_on_its_way_out(tmp_path: Path):
    port = kept_port(tmp_path)
    leaves_after_two_calls = f"import socket; s = socket.create_server(('127.0.0.1', {port})); s.accept(); s.accept()"
    with subprocess.Popen([sys.executable, "-c", leaves_after_two_calls]):
        wait_until(lambda: is_taken(port))

        again = kept_port(tmp_path)

    assert again == port


def test_a_program_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path):
    from lemline_site.supervisor import NotReadyError, Supervisor

    log = tmp_path / "log"
    command = ("/bin/sh", "-c", "echo no such thing; exit 9")
    program = Program(name="broken", command=command, log=log, is_ready=Path("/nonexistent").exists)

    with pytest.raises(NotReadyError) as told:
        Supervisor(grace_seconds=1).start([program])

    assert str(told.value) == f"broken ended with 9; {log} ends with\n  no such thing"


def test_credentials_are_those_that_are_set_else_made_once(tmp_path: Path):
    made = credentials(tmp_path, {})
    given = credentials(tmp_path, {"LEMLINE_DEV_PASSWORD": "p", "LEMLINE_DEV_API_KEY": "k"})

    assert credentials(tmp_path, {}) == made
    assert (given.password, given.api_key) == ("p", "k")
    assert (tmp_path / "api-key").stat().st_mode & 0o077 == 0
