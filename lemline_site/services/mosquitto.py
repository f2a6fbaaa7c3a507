"""A Mosquitto server, which speaks MQTT, in a folder."""

import shutil
from pathlib import Path

from lemline_site.services.program import Program, is_taken, kept_port, own_folder, user_for


def mosquitto(folder: Path) -> Program:
    """Return a server that keeps sessions and what waits in them in a folder, and lets everybody in."""
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if path is None:
        raise FileNotFoundError("mosquitto is missing: install Mosquitto")
    user = user_for("mosquitto")
    folder = own_folder(folder, user)
    port = kept_port(folder)
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
    ]
    # Else it forgets what it could not deliver beyond a thousand messages.
    lines += ["max_queued_messages 0"]
    configuration = folder / "mosquitto.conf"
    configuration.write_text("\n".join([*lines, ""]), "utf-8")
    return Program(
        name="mosquitto",
        command=(path, "-c", str(configuration)),
        url=f"mqtt://127.0.0.1:{port}",
        user=user,
        folder=folder,
        is_ready=lambda: is_taken(port),
    )
