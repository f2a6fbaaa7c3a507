"""`make up`: everything on this machine, one process per role.

Starts PostgreSQL and Redis in the data folder, unless DATABASE_URL, BROKER_URL and CACHE_URL say where
others are; makes the tables; then runs what the Procfile lists. Killed or stopped, it goes on at the
next start with what was open.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lemline_site.config import Config, ConfigurationError, load
from lemline_site.config.sources import remember_overrides
from lemline_site.credentials import Credentials, credentials
from lemline_site.services.postgresql import postgresql
from lemline_site.services.program import NotReadyError, Program, is_taken
from lemline_site.services.redis import redis
from lemline_site.supervisor import Supervisor, read_procfile

ROOT = Path(__file__).resolve().parent.parent

READY_SECONDS = 60.0
"""After this the addresses are shown, whether or not everybody answers."""

_MARGIN_SECONDS = 5
"""Beyond the grace that workers give their activities."""

_LOOK_SECONDS = 0.2


class UnableError(Exception):
    """It cannot start; the message says what to do."""


def main() -> int:
    """Run until SIGINT or SIGTERM."""
    remember_overrides(sys.argv[1:], os.environ)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        config = load().config
        data = Path(config.data_dir).resolve()
        patience = config.execution.grace.total_seconds() + _MARGIN_SECONDS
        with _alone(data / "up.lock") as was_killed:
            _check_ports(config, patience if was_killed else 0)
            return _run(config, data, patience)
    except (ConfigurationError, FileNotFoundError, NotReadyError, UnableError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


def _run(config: Config, data: Path, grace_seconds: float) -> int:
    made = credentials(data)
    os.environ.update(LEMLINE_DEV_PASSWORD=made.password, LEMLINE_DEV_API_KEY=made.api_key)
    os.environ.setdefault("FLOWER_BASIC_AUTH", f"admin:{made.password}")
    with Supervisor(grace_seconds=grace_seconds) as supervisor:
        supervisor.announce("starting ...")
        supervisor.start(list(_services(config, data)))
        for command in (("migrate", "--verbosity", "0"), ("lemline", "--quiet", "admin", "bootstrap")):
            if code := subprocess.call([sys.executable, str(ROOT / "manage.py"), *command]):
                return code
        supervisor.start(list(read_procfile((ROOT / "Procfile").read_text("utf-8"))))
        threading.Thread(target=_welcome, args=(supervisor, load().config, made), daemon=True).start()
        supervisor.watch()
        supervisor.announce("stopping; what is open goes on at the next start ...")
    return 0


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Keep a second one out of the folder; gives whether the last one had no time to end in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        lock.seek(0)
        noted = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnableError(f"it runs in this folder already, as process {noted}") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield bool(noted)
        finally:
            lock.truncate(0)


def _check_ports(config: Config, patience_seconds: float) -> None:
    """Wait for what a killed predecessor left to end; then every port must be free."""
    ports = {"PORT": config.web.port, "FLOWER_PORT": _flower_port()}
    deadline = time.monotonic() + patience_seconds
    for variable, port in ports.items():
        if is_taken(port) and patience_seconds:
            print("waiting for what the last run left to end ...", flush=True)
        while is_taken(port) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        if is_taken(port):
            raise UnableError(f"port {port} is taken; choose another: {variable}={port + 1} make up")


def _flower_port() -> int:
    return int(os.environ.get("FLOWER_PORT", "5555"))


def _services(config: Config, data: Path) -> Iterator[Program]:
    """Yield what must be started here, and tell every later process where it is."""
    if config.database.url.startswith("sqlite:"):
        server = postgresql(data / "postgresql")
        os.environ["DATABASE_URL"] = server.url
        yield server
    wants_broker, wants_cache = config.messaging.url.startswith("memory:"), config.cache.url.startswith("locmem:")
    if wants_broker or wants_cache:
        server = redis(data / "redis")
        if wants_broker:
            os.environ["BROKER_URL"] = server.url
        if wants_cache:
            os.environ["CACHE_URL"] = f"{server.url.removesuffix('/0')}/1"
        yield server


def _welcome(supervisor: Supervisor, config: Config, made: Credentials) -> None:
    """Show the addresses once somebody answers there, as the last lines of the start."""
    url = f"http://127.0.0.1:{config.web.port}"
    deadline = time.monotonic() + READY_SECONDS
    while not _serves(url, made.api_key) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    flower = f"http://127.0.0.1:{_flower_port()}"
    urls = {"DATABASE_URL": config.database.url, "BROKER_URL": config.messaging.url, "CACHE_URL": config.cache.url}
    supervisor.announce(
        f"\n  API      {url}/api/v1        key       {made.api_key}\n"
        f"  Docs     {url}/api/v1/docs   once logged in\n"
        f"  Admin    {url}/admin/        admin     {made.password}\n"
        f"  Flower   {flower:<30}admin     {made.password}\n\n"
        "  For manage.py in another shell:\n"
        + "".join(f"  export {name}='{value}'\n" for name, value in urls.items())
        + "\n  Ctrl-C stops it; what is open then goes on at the next start.\n"
    )


def _serves(url: str, key: str) -> bool:
    """Return whether the API answers and every queue has somebody who takes from it."""
    request = urllib.request.Request(f"{url}/api/v1/queues", headers={"Authorization": f"Bearer {key}"})
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=2) as answer:
        return all(queue["consumers"] for queue in json.load(answer)["items"])
    return False


if __name__ == "__main__":
    sys.exit(main())
