"""Servers of the campaign's own, which it may take down: PostgreSQL, Redis, RabbitMQ."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import psycopg2
import redis

from lemline_site.services import postgresql as postgresql_service
from lemline_site.services import rabbitmq as rabbitmq_service
from lemline_site.services import redis as redis_service
from lemline_site.services.program import Program, start, stop, wait_until_ready

DISK = "384m"
"""The database's disk: what it needs for an hour of the campaign, and filled within a moment."""

SMALL = ("-c", "max_wal_size=96MB", "-c", "min_wal_size=32MB", "-c", "shared_buffers=64MB")


@dataclass
class Server:
    """A server that runs, or has just been taken down."""

    program: Program
    running: "subprocess.Popen[bytes]"
    log: IO[bytes]

    @property
    def url(self) -> str:
        return self.program.url

    def take_down(self, number: int) -> None:
        """Send it a signal that ends it, and wait for its end."""
        if number == signal.SIGKILL:
            os.killpg(self.running.pid, number)
        else:
            self.running.send_signal(number)
        self.running.wait(30)

    def look_after(self) -> None:
        """Start it when it does not run; returns when it answers."""
        if self.running.poll() is not None:
            self.running = start(self.program, self.log)
            wait_until_ready(self.program, self.running)


@contextlib.contextmanager
def serving(program: Program, log: Path) -> Iterator[Server]:
    """Run a server for the length of a block; what it writes is kept beside its folder, whose disk may be full."""
    with log.open("ab") as output:
        server = Server(program, start(program, output), output)
        try:
            wait_until_ready(program, server.running)
            yield server
        finally:
            stop(program, server.running)


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """PostgreSQL as it is served by default: what it has committed survives its own sudden end."""
    program = postgresql_service.postgresql(folder)
    with serving(replace(program, command=(*program.command, *SMALL)), folder.with_suffix(".log")) as server:
        yield server


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    """Redis that writes to its file each second."""
    with serving(redis_service.redis(folder), folder.with_suffix(".log")) as server:
        yield server


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[Server]:
    """RabbitMQ."""
    with serving(rabbitmq_service.rabbitmq(folder), folder.with_suffix(".log")) as server:
        yield server


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Make a folder a disk of its own, small enough to be filled. Gives whether that is allowed here."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "lemline-campaign", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no room on a disk for the length of a block."""
    ballast = folder / "ballast"
    room = os.statvfs(folder)
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
        file.seek(0, os.SEEK_END)
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
    try:
        yield
    finally:
        ballast.unlink()


def cut_connections(url: str) -> int:
    """End every other session of a database. Returns how many there were."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        [count] = cursor.fetchone() or (0,)
        return int(count)


def flush(url: str) -> None:
    """Forget all that a Redis server knows."""
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
