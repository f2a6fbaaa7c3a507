import io
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lemline_site.services.program import NotReadyError, Program, running
from lemline_site.supervisor import Supervisor, read_procfile

ROOT = Path(__file__).parents[2]

SUPERVISE = """
import sys
from lemline_site.supervisor import Supervisor, read_procfile
with Supervisor(grace_seconds=10) as supervisor:
    supervisor.start(list(read_procfile(sys.argv[1])))
    supervisor.watch()
"""


class Supervised:
    """A supervisor in a process of its own, since it takes over that process's signals."""

    def __init__(self, procfile):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, procfile],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, text):
        """Read until a line has the text; return that line."""
        for line in self.process.stdout:
            if text in line:
                return line.rstrip("\n")
        raise AssertionError(f"it never said {text!r}")


@pytest.fixture
def is_gone():
    """Wait for the end of a process that is not a child of ours."""

    def wait(pid):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        found = bool(select.select([descriptor], [], [], 10)[0])
        os.close(descriptor)
        return found

    return wait


def test_a_procfile_is_a_name_and_a_command_per_line():
    programs = list(read_procfile("# roles\nweb: serve --port $PORT\n\nhttp: work: now\n"))

    assert [(program.name, program.command[-1]) for program in programs] == [
        ("web", "exec serve --port $PORT"),
        ("http", "exec work: now"),
    ]


def test_the_procfile_of_the_product_has_a_process_for_every_role():
    names = [program.name for program in read_procfile((ROOT / "Procfile").read_text("utf-8"))]

    assert names == ["web", "http", "compute", "io", "events", "maintenance", "beat", "flower"]


def test_what_a_program_writes_is_shown_behind_its_name():
    with Supervised("one: echo hello; sleep 60\nlonger: sleep 60") as supervised:
        assert supervised.wait_for("hello") == "one    | hello"


def test_a_program_that_dies_is_started_again():
    with Supervised("one: sh -c 'echo I am $$; exec sleep 60'") as supervised:
        first = int(supervised.wait_for("I am").split()[-1])
        os.kill(first, signal.SIGKILL)

        said = supervised.wait_for("ended")
        second = int(supervised.wait_for("I am").split()[-1])

    assert said == "one | ended with SIGKILL; again in 0.5 s"
    assert second != first


def test_a_program_that_dies_at_once_is_started_with_growing_pauses():
    with Supervised("one: false") as supervised:
        pauses = [supervised.wait_for("ended with code 1").split()[-2] for _ in range(3)]

    assert pauses == ["0.5", "1", "2"]


def test_being_told_to_stop_ends_every_program_and_waits_for_them(tmp_path):
    note = tmp_path / "note"
    program = f"one: sh -c 'trap \"echo done > {note}; exit\" TERM; echo ready; while :; do sleep 0.05; done'"
    with Supervised(program) as supervised:
        supervised.wait_for("ready")
        supervised.process.terminate()

        assert supervised.process.wait(10) == 0

    assert note.read_text() == "done\n"


def test_programs_end_with_a_supervisor_that_is_killed(is_gone):
    with Supervised("one: sh -c 'echo I am $$; exec sleep 60'") as supervised:
        pid = int(supervised.wait_for("I am").split()[-1])
        supervised.process.kill()

        assert is_gone(pid)


def test_a_program_that_dies_before_it_is_ready_is_an_error_with_its_last_words(tmp_path):
    program = Program(name="one", command=("sh", "-c", "echo no licence; exit 3"), is_ready=lambda: False)

    with pytest.raises(NotReadyError, match=r"(?s)one ended with 3\nno licence"), running(program, tmp_path / "log"):
        pass


def test_lines_of_many_programs_do_not_mix():
    output = io.StringIO()
    supervisor = Supervisor(grace_seconds=1, output=output)
    threads = [threading.Thread(target=supervisor.say, args=(str(n), str(n) * 1000)) for n in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(output.getvalue().splitlines()) == [f"{n} | {str(n) * 1000}" for n in range(8)]
