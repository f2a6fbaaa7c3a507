"""What a campaign runs on: an installation with two processes for each role, on servers that it may take down."""

import contextlib
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.campaign import mail, servers
from tests.crash.campaign.faults import CONTINUED, PLACES, World
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


@dataclass(frozen=True, kw_only=True)
class Shared:
    """URLs of servers that others use as well, which a campaign therefore leaves alone."""

    database: str
    """An empty database."""

    broker: str
    cache: str


@contextlib.contextmanager
def opened(
    seed: int, broker: str = "redis", environment: Mapping[str, str] | None = None, *, shared: Shared | None = None
) -> Iterator[World]:
    """Open a world.

    Args:
        seed: Of whatever happens by chance in it.
        broker: `redis` or `rabbitmq`.
        environment: Added to that of its processes.
        shared: Servers to use; without them, it has its own.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="lemline-campaign-"))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        own = None if shared else stack.enter_context(_own_servers(folder, broker))
        urls = shared or own.urls
        messages: mail.Broker = _BROKERS[broker](urls.broker, NAMESPACE)
        stack.callback(messages.close)
        stub = stack.enter_context(contextlib.closing(Stub()))
        (folder / "installation").mkdir()
        more = {**SETTINGS, "BROKER_URL": urls.broker, "CACHE_URL": urls.cache, **(environment or {})}
        installation = stack.enter_context(installed(folder / "installation", urls.database, COMMANDS, **more))
        goes_on = more.get("LEMLINE_EXECUTION_CONTINUATION") == "auto"
        yield World(
            installation=installation,
            load=Load(installation, stub.url),
            stub=stub,
            broker=messages,
            chance=random.Random(seed),
            places=(*PLACES, CONTINUED) if goes_on else PLACES,
            **(own.parts if own else {}),
        )


_BROKERS = {"redis": mail.RedisBroker, "rabbitmq": mail.RabbitBroker}


@dataclass(frozen=True, kw_only=True)
class _Own:
    urls: Shared
    parts: Mapping[str, Any]
    """What of a world can be taken down, by the name of its attribute."""


@contextlib.contextmanager
def _own_servers(folder: Path, broker: str) -> Iterator[_Own]:
    with contextlib.ExitStack() as stack:
        disk = folder / "pg"
        can_fill = stack.enter_context(servers.small_disk(disk))
        database = stack.enter_context(servers.postgresql(disk))
        cache = stack.enter_context(servers.redis_server(folder / "redis"))
        base = cache.url.rsplit("/", 1)[0]
        rabbitmq = stack.enter_context(servers.rabbitmq(folder / "rabbitmq")) if broker == "rabbitmq" else None
        yield _Own(
            urls=Shared(database=database.url, broker=rabbitmq.url if rabbitmq else f"{base}/0", cache=f"{base}/1"),
            parts={
                "database": database, "cache": cache, "rabbitmq": rabbitmq, "disk": disk if can_fill else None,
            },
        )  # fmt: skip
