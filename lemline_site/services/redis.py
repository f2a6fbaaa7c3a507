"""A Redis server in a folder."""

import shutil
from pathlib import Path

import redis as client

from lemline_site.services.program import Program, kept_port, own_folder


def redis(folder: Path, *, is_durable: bool = True) -> Program:
    """Return a server that keeps its data in a folder; with `is_durable`, as a broker should.

    Args:
        folder: Where its append-only file is kept.
        is_durable: Write the file each second. False keeps everything in memory: for tests.
    """
    path = shutil.which("redis-server")
    if path is None:
        raise FileNotFoundError("redis-server is missing: install Redis, or set BROKER_URL and CACHE_URL")
    folder = own_folder(folder, None)
    port = kept_port(folder)
    url = f"redis://127.0.0.1:{port}/0"
    # A broker must refuse when it is full; evicting would drop jobs.
    flags = ["--save", "", "--maxmemory-policy", "noeviction", "--loglevel", "warning"]
    flags += ["--appendonly", "yes" if is_durable else "no", "--appendfsync", "everysec"]
    return Program(
        name="redis",
        command=(path, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *flags),
        url=url,
        folder=folder,
        log=folder / "log",
        is_ready=lambda: _answers(url),
    )


def _answers(url: str) -> bool:
    with client.Redis.from_url(url, socket_connect_timeout=1) as connection:
        return bool(connection.ping())
