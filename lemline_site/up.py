"""`make up`: everything on this machine, one process per role.

Starts PostgreSQL and Redis in the data folder, unless DATABASE_URL, BROKER_URL and CACHE_URL say where
others are; makes the tables; then runs what the Procfile lists. Killed or stopped, it goes on at the
next start with what was open.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lemline_site.config import Config, ConfigurationError, load
from lemline_site.config.sources import remember_overrides
from lemline_site.services.postgresql import postgresql
from lemline_site.services.program import NotReadyError, Program
from lemline_site.services.redis import redis
from lemline_site.supervisor import Supervisor, read_procfile

ROOT = Path(__file__).resolve().parent.parent

_MARGIN_SECONDS = 5
"""Beyond the grace that workers give their activities."""


def main() -> int:
    """Run until SIGINT or SIGTERM."""
    remember_overrides(sys.argv[1:], os.environ)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        return _run(load().config)
    except (ConfigurationError, FileNotFoundError, NotReadyError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 3


def _run(config: Config) -> int:
    data = Path(config.data_dir).resolve()
    password, key = _credentials(data)
    with Supervisor(grace_seconds=config.execution.grace.total_seconds() + _MARGIN_SECONDS) as supervisor:
        supervisor.start(list(_services(config, data)))
        for command in (("migrate", "--verbosity", "0"), ("lemline", "--quiet", "admin", "bootstrap")):
            if code := subprocess.call([sys.executable, str(ROOT / "manage.py"), *command]):
                return code
        supervisor.start(list(read_procfile((ROOT / "Procfile").read_text("utf-8"))))
        print(_welcome(load().config, password, key), flush=True)
        supervisor.watch()
    return 0


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


def _credentials(data: Path) -> tuple[str, str]:
    """Return the administrator's password and an API key: those that were set, else made once and kept."""
    password = os.environ.setdefault("LEMLINE_DEV_PASSWORD", _kept(data / "password", secrets.token_urlsafe(9)))
    key = os.environ.setdefault("LEMLINE_DEV_API_KEY", _kept(data / "api-key", f"dev-{secrets.token_urlsafe(18)}"))
    os.environ.setdefault("FLOWER_BASIC_AUTH", f"admin:{password}")
    return password, key


def _kept(path: Path, new: str) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(new, "ascii")
    return path.read_text("ascii")


def _welcome(config: Config, password: str, key: str) -> str:
    url = f"http://127.0.0.1:{config.web.port}"
    flower = f"http://127.0.0.1:{os.environ.get('FLOWER_PORT', '5555')}"
    urls = {"DATABASE_URL": config.database.url, "BROKER_URL": config.messaging.url, "CACHE_URL": config.cache.url}
    return (
        f"\n  API      {url}/api/v1        key       {key}\n"
        f"  Docs     {url}/api/v1/docs\n"
        f"  Admin    {url}/admin/        admin     {password}\n"
        f"  Flower   {flower:<30}admin     {password}\n\n"
        "  For manage.py in another shell:\n" + "".join(f"  export {name}='{value}'\n" for name, value in urls.items())
    )


if __name__ == "__main__":
    sys.exit(main())
