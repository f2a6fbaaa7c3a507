"""What a reader must know of this machine to judge the figures."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psycopg2
import redis

from bench import install


def description(environment: Mapping[str, str]) -> dict[str, object]:
    """Return it for the result file.

    Args:
        environment: What the drivers find in theirs: where the services are.
    """
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": _postgresql(environment["BENCH_DATABASE_URL"]),
        "redis": _redis(environment["BENCH_REDIS_URL"]),
        "peers": {
            "celery": version("celery"),
            "dbos": install.DBOS_PACKAGES[0].partition("==")[2],
            "restate": install.RESTATE_SERVER.rpartition("@")[2],
            "restate-sdk": install.RESTATE_PACKAGES[0].partition("==")[2],
        },
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else ""),
    }


def _first(path: str, key: str) -> str:
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")


def _postgresql(url: str) -> str:
    connection = psycopg2.connect(url)
    try:
        return str(connection.info.parameter_status("server_version"))
    finally:
        connection.close()


def _redis(url: str) -> str:
    with redis.Redis.from_url(f"{url}/0") as client:
        return str(client.info("server")["redis_version"])


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=False, capture_output=True, text=True).stdout.strip()
