"""A PostgreSQL server in a folder."""

import contextlib
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2

from lemline_site.services.program import LEAVING_SECONDS, NotReadyError, Program, kept_port, own_folder, user_for

NAME = "lemline"
"""Of the database and of its owner."""

_TUNED = {
    "max_connections": "200",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "wal_buffers": "16MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    # The checkpoint rows are updated all the time: vacuum them early and without pauses.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_cost_delay": "0",
    "wal_compression": "on",
    "jit": "off",
    "log_checkpoints": "off",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


def postgresql(folder: Path, *, is_durable: bool = True) -> Program:
    """Return a server whose data stays in a folder, made at the first start.

    Args:
        folder: Where its data is kept. Only one server can run on it.
        is_durable: False gives up durability when the machine (not the process) dies: for tests.
    """
    user = user_for("postgres")
    folder = own_folder(folder, user)
    port = kept_port(folder)
    data = folder / "data"
    if not (data / "PG_VERSION").is_file():
        _make(data, user)
    _await_predecessor(data / "postmaster.pid")
    password = (folder / "password").read_text("ascii")
    url = f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"
    options = _TUNED | ({} if is_durable else _FORGETFUL)
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgresql",
        # Sockets of files would limit the length of the folder's name.
        command=(
            binary("postgres"),
            *("-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-c", "unix_socket_directories=", *flags),
        ),
        url=url,
        user=user,
        folder=folder,
        log=folder / "log",
        # Fast shutdown; SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        is_ready=lambda: _is_ready(url),
    )


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is missing: install PostgreSQL, or set DATABASE_URL")
    return path


def _await_predecessor(note: Path) -> None:
    """Wait for a server that is on its way out, and forget one that died.

    PostgreSQL itself takes any process with the noted id for a server that runs: a dead one that nobody has
    buried too, which in a container may stay so for ever.
    """
    deadline = time.monotonic() + LEAVING_SECONDS
    while server := _noted(note):
        if server.status() == psutil.STATUS_ZOMBIE or server.name() != "postgres":
            note.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise NotReadyError(f"another PostgreSQL, process {server.pid}, runs on {note.parent}")
        else:
            time.sleep(0.05)


def _noted(note: Path) -> psutil.Process | None:
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return psutil.Process(int(note.read_text("ascii", "replace").split()[0]))
    return None


def _make(data: Path, user: str | None) -> None:
    password = data.parent / "password"
    password.touch(0o600)
    if user is not None:
        shutil.chown(password, user)
    password.write_text(secrets.token_urlsafe(18), "ascii")
    shutil.rmtree(data, ignore_errors=True)
    command = [binary("initdb"), "-D", str(data), "-U", NAME, f"--pwfile={password}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, cwd=data.parent)


def _is_ready(url: str) -> bool:
    """Answer whether the database is there; make it when the server is."""
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        _create_database(url)
    return True


def _create_database(url: str) -> None:
    connection = psycopg2.connect(urlsplit(url)._replace(path="/postgres").geturl())
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{NAME}"')
    finally:
        connection.close()
