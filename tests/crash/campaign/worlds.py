"""What a campaign runs on: an installation with two processes for each role, on servers that it may take down."""

import contextlib
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from kombu import Connection

from tests.crash.campaign import mail, servers
from tests.crash.campaign.faults import World
from tests.crash.campaign.load import Load
from tests.crash.harness import SERVED, Commands
from tests.crash.installing import installed
from tests.crash.stub import Stub

COMMANDS: Commands = {
    **SERVED,
    "spare": ("manage.py", "lemline", "worker", "--roles", "http,compute,io,maintenance"),
}
"""A second process for each role: two consumers of each queue, two timekeepers, two sweepers."""

NAMESPACE = f"campaign-{os.getpid()}"
"""Of names at a broker that others may use as well."""

SETTINGS = {
    "LEMLINE_CLUSTER_NAMESPACE": NAMESPACE,
    # Redis gives back what a dead worker had taken: soon enough to be seen by the end.
    "LEMLINE_MESSAGING_VISIBILITY_TIMEOUT": "5s",
}


@contextlib.contextmanager
def opened(
    seed: int,
    broker: str = "redis",
    environment: Mapping[str, str] | None = None,
    *,
    patience_looks: int = 30,
    rabbitmq_url: str = "",
) -> Iterator[World]:
    """Open a world.

    Args:
        seed: Of whatever happens by chance in it.
        broker: `redis` or `rabbitmq`.
        environment: Added to that of its processes.
        patience_looks: How often the sweeper may look at something before it counts as given up.
        rabbitmq_url: A server that others use as well; without it, the campaign's own is started.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="lemline-campaign-"))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = folder / "pg"
        can_fill = stack.enter_context(servers.small_disk(disk))
        database = stack.enter_context(servers.postgresql(disk))
        cache = stack.enter_context(servers.redis_server(folder / "redis"))
        base = cache.url.rsplit("/", 1)[0]
        rabbitmq = None
        if broker == "rabbitmq" and not rabbitmq_url:
            rabbitmq = stack.enter_context(servers.rabbitmq(folder / "rabbitmq"))
            rabbitmq_url = rabbitmq.url
        messages: mail.Broker
        if broker == "rabbitmq":
            messages = mail.RabbitBroker(rabbitmq_url, NAMESPACE)
            stack.callback(_forget, rabbitmq_url)
        else:
            messages = mail.RedisBroker(f"{base}/0", NAMESPACE)
        stack.callback(messages.close)
        stub = stack.enter_context(contextlib.closing(Stub()))
        urls = {"BROKER_URL": rabbitmq_url or f"{base}/0", "CACHE_URL": f"{base}/1"}
        (folder / "installation").mkdir()
        installation = stack.enter_context(
            installed(folder / "installation", database.url, COMMANDS, **SETTINGS, **urls, **(environment or {}))
        )
        yield World(
            installation=installation,
            load=Load(installation, stub.url),
            stub=stub,
            broker=messages,
            chance=random.Random(seed),
            database=database,
            cache=cache,
            rabbitmq=rabbitmq,
            disk=disk if can_fill else None,
            patience_looks=patience_looks,
        )


def _forget(url: str) -> None:
    """Leave no queue on a server that others use."""
    with contextlib.suppress(OSError), Connection(url) as connection:
        for pool in mail.POOLS:
            connection.default_channel.queue_delete(f"{NAMESPACE}.{pool}")
