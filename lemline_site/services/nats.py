"""A NATS server in a folder, with JetStream."""

import shutil
import socket
from pathlib import Path

from lemline_site.services.program import Program, kept_port, own_folder


def nats(folder: Path) -> Program:
    """Return a server that keeps its streams in a folder."""
    path = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if path is None:
        raise FileNotFoundError("nats-server is missing: install NATS")
    folder = own_folder(folder, None)
    port = kept_port(folder)
    return Program(
        name="nats",
        command=(path, "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(folder)),
        url=f"nats://127.0.0.1:{port}",
        folder=folder,
        is_ready=lambda: _answers(port),
    )


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        return connection.recv(4) == b"INFO"
