"""A RabbitMQ server in a folder."""

import os
import shutil
import subprocess
from pathlib import Path

from amqp import Connection

from lemline_site.services.program import Program, free_port, kept_port, own_folder, user_for

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's own; the one in PATH insists on the system's service user and folders."""


def rabbitmq(folder: Path) -> Program:
    """Return a server that keeps its data, its log and its cookie in a folder."""
    script = str(_SCRIPT) if _SCRIPT.is_file() else shutil.which("rabbitmq-server")
    if script is None:
        raise FileNotFoundError("rabbitmq-server is missing: install RabbitMQ, or set BROKER_URL")
    user = user_for("rabbitmq")
    folder = own_folder(folder, user)
    port = kept_port(folder)
    environment = _environment(folder, port)
    return Program(
        name="rabbitmq",
        command=(script,),
        url=f"amqp://guest:guest@127.0.0.1:{port}//",
        environment=environment,
        user=user,
        folder=folder,
        is_ready=lambda: _answers(port),
        clean_up=lambda: _end_name_server(environment["ERL_EPMD_PORT"]),
    )


def _environment(folder: Path, port: int) -> dict[str, str]:
    plugins = folder / "enabled_plugins"
    plugins.write_text("[].")
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"lemline-{port}-{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_DIR": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        # A name server of its own, so that it can be ended with the server.
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _end_name_server(port: str) -> None:
    if shutil.which("epmd"):
        subprocess.run(["epmd", "-port", port, "-kill"], check=False, capture_output=True)


def _answers(port: int) -> bool:
    with Connection(f"127.0.0.1:{port}", connect_timeout=2):
        return True
