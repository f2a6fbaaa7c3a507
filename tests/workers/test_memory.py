"""A real worker that grows over its limit: it ends in order, and another goes on."""

import subprocess
from pathlib import Path
from typing import Any

from tests.crash.harness import WEB, Commands
from tests.workers.test_stopping import begun

COMMANDS: Commands = {
    "web": WEB,
    "worker": ("manage.py", "lemline", "worker", "--roles", "http,compute,maintenance"),
}
MIB = 1024**2


def test_a_worker_over_its_memory_finishes_what_it_has_and_ends(
    open_installation: Any, installed_database: str, redis_urls: tuple[str, str], tmp_path: Path
):
    broker, cache = redis_urls
    settings = {
        "BROKER_URL": broker, "CACHE_URL": cache, "LEMLINE_ACTIVITIES": "tests.workers.plug",
        "LEMLINE_JVM_MEMORY_MAX": "400M",
    }  # fmt: skip
    with open_installation(installed_database, COMMANDS, **settings) as installation:
        arguments = {"folder": str(tmp_path), "size": 500 * MIB}
        installation.register(
            "grow", [{"work": {"call": "stop/grow", "with": arguments}}, {"after": {"set": "${ . }"}}]
        )
        worker = installation._processes["worker"]
        worker.is_wanted = False
        grown: subprocess.Popen[bytes] = worker.running

        instance = installation.start("grow", {})
        installation.wait(lambda: "memory.exceeded" in worker.log.read_text(errors="replace"), installation.logs)
        (tmp_path / "go").touch()

        assert grown.wait(30) == 0
        installation.revive("worker")
        [ending] = installation.await_end(instance)
        assert (ending.status, begun(tmp_path)) == ("completed", [str(ending.output)])
        assert ending.output == grown.pid
