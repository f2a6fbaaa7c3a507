"""What values must be so that they can work, alone and together."""

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lemline_site.config.bridges import addresses_of
from lemline_site.config.keys import KEYS, read
from lemline_site.config.sections import Config

_PORTS = range(1, 65536)

SMALLEST_PROCESS = 128 * 1024**2
"""Bytes of a worker that has done nothing yet."""


def mistakes(config: Config) -> Iterator[str]:
    """Yield a line for each value that cannot work."""
    for key in KEYS.values():
        value = read(config, key)
        if isinstance(value, timedelta) and value <= timedelta():
            yield f"{key.name}: a duration above zero is wanted"
        elif isinstance(value, int) and not isinstance(value, bool) and value < 1:
            yield f"{key.name}: a number above zero is wanted"
    yield from _together(config)


def _together(config: Config) -> Iterator[str]:
    levels = config.execution.prioritization
    idle, lease = config.database.idle_in_transaction_timeout, config.execution.lease
    if levels.levels > 10:
        yield "lemline.execution.prioritization.levels: at most 10, since each is one more queue to ask"
    if levels.default_level > levels.levels:
        yield f"lemline.execution.prioritization.default-level: at most {levels.levels}, the number of levels"
    if config.execution.max_recoveries < 3:
        yield "lemline.execution.max-recoveries: at least 3, since the first two may be another's fault"
    if ":" in config.cluster.namespace:
        yield "lemline.cluster.namespace: without colons, which separate the parts of names in Redis"
    if config.web.port not in _PORTS:
        yield "lemline.web.port: at most 65535"
    if idle is not None and idle > lease / 2:
        yield "lemline.database.idle-in-transaction-timeout: at most half of lemline.execution.lease"
    yield from _scaling(config)
    if config.jvm.memory.max is not None and config.jvm.memory.max < SMALLEST_PROCESS:
        yield "lemline.jvm.memory.max: at least 128M, since a worker takes that when it starts"
    if not _is_zone(config.schedules.time_zone):
        yield f"lemline.schedules.time-zone: {config.schedules.time_zone!r} is no time zone; write e.g. Europe/Berlin"
    yield from _about_bridges(config)
    if not config.secrets.env_prefix:
        yield "lemline.secrets.env-prefix: a prefix is wanted, or workflows could read the whole environment"


def _scaling(config: Config) -> Iterator[str]:
    scaling, interval = config.autoscaling, config.metrics.scaling.collection_interval
    if interval < timedelta(seconds=1):
        yield "lemline.metrics.scaling.collection-interval: at least a second"
    if not 1 <= scaling.min_replicas <= scaling.max_replicas:
        yield "lemline.autoscaling.min-replicas: from 1 to lemline.autoscaling.max-replicas"
    if not 1 <= scaling.clear_percent <= 100:
        yield "lemline.autoscaling.clear-percent: from 1 to 100"
    if scaling.webhook and not scaling.webhook.startswith(("http://", "https://")):
        yield "lemline.autoscaling.webhook: an http or https URL"


def _about_bridges(config: Config) -> Iterator[str]:
    try:
        addresses_of(config.events.bridges, config.messaging.consumer_group)
    except ValueError as error:
        yield f"lemline.events.bridges: {error}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
