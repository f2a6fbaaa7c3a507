"""`python -m lemline_site.services`: install what is missing, or run a command beside services of its own.

`install NAME …` installs Debian packages, when this is Debian and root; otherwise it says what to install.
`run -- COMMAND …` starts PostgreSQL, Redis, RabbitMQ, NATS and Mosquitto in a temporary folder, tells the command
where they are, and ends with its code.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from lemline_site.services.mosquitto import mosquitto
from lemline_site.services.nats import nats
from lemline_site.services.postgresql import binary, postgresql
from lemline_site.services.program import Program, running
from lemline_site.services.rabbitmq import rabbitmq
from lemline_site.services.redis import redis

_PACKAGES = {
    "postgresql": "postgresql",
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
    "nats": "nats-server",
    "mosquitto": "mosquitto",
    "node": "nodejs",
}
_PROGRAMS = {**_PACKAGES, "postgresql": "postgres", "node": "node"}

_VARIABLES = {
    "postgresql": "LEMLINE_TEST_DATABASE_URL",
    "redis": "LEMLINE_TEST_REDIS_URL",
    "rabbitmq": "LEMLINE_TEST_AMQP_URL",
    "nats": "LEMLINE_TEST_NATS_URL",
    "mosquitto": "LEMLINE_TEST_MQTT_URL",
}
"""What tests are told. LEMLINE_TEST_BROKER_URL stands for the one of its scheme."""

_MAKERS: dict[str, Callable[[Path], Program]] = {
    "postgresql": lambda folder: postgresql(folder, is_durable=False),
    "redis": lambda folder: redis(folder, is_durable=False),
    "rabbitmq": rabbitmq,
    "nats": nats,
    "mosquitto": mosquitto,
}


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says."""
    match arguments:
        case ["install", *names]:
            return install(names)
        case ["run", "--", *command] if command:
            return run(command)
    print(__doc__, file=sys.stderr)
    return 2


def install(names: Sequence[str]) -> int:
    """Install what is missing of these; where that cannot be done here, say so and go on."""
    missing = [_PACKAGES[name] for name in names if not _is_installed(name)]
    if not missing:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"missing: {' '.join(missing)}; please install", file=sys.stderr)
        return 0
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
    command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
    return subprocess.run(command, check=False, env=environment).returncode


def run(command: Sequence[str]) -> int:
    """Run a command beside the services that its environment does not name."""
    environment = _told(dict(os.environ))
    with tempfile.TemporaryDirectory(prefix="lemline-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        wanted = [name for name in _MAKERS if _VARIABLES[name] not in environment and _is_installed(name)]
        with contextlib.ExitStack() as stack:
            for name, url in _start(wanted, Path(folder), stack):
                environment[_VARIABLES[name]] = url
            return subprocess.run(command, check=False, env=environment).returncode


def _start(names: Sequence[str], folder: Path, stack: contextlib.ExitStack) -> Iterator[tuple[str, str]]:
    """Start them at the same time; RabbitMQ takes longer than the others together."""
    threads = stack.enter_context(ThreadPoolExecutor())
    blocks = {name: running(_MAKERS[name](folder / name), folder / f"{name}.log") for name in names}
    entered = {name: threads.submit(block.__enter__) for name, block in blocks.items()}
    for name, program in entered.items():
        stack.push(blocks[name])
        yield name, program.result().url


def _told(environment: dict[str, str]) -> dict[str, str]:
    if url := environment.get("LEMLINE_TEST_BROKER_URL"):
        name = "rabbitmq" if urlsplit(url).scheme.startswith("amqp") else "redis"
        environment.setdefault(_VARIABLES[name], url)
    return environment


def _is_installed(name: str) -> bool:
    if name != "postgresql":
        # Debian has some of them where only root looks.
        return (shutil.which(_PROGRAMS[name]) or shutil.which(_PROGRAMS[name], path="/usr/sbin")) is not None
    with contextlib.suppress(FileNotFoundError):
        return bool(binary("postgres"))
    return False


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
