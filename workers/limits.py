"""What the configuration allows an activity, in the activities' own words."""

from lemline_site.config import Config
from workers.activities import Limits


def limits(config: Config) -> Limits:
    """Return the limits that a configuration sets."""
    cache = config.http.cache
    return Limits(
        response_bytes=config.limits.response,
        output_bytes=config.limits.output,
        private_addresses=config.http.private_addresses,
        http_seconds=config.http.timeout.total_seconds(),
        connect_seconds=config.http.connect_timeout.total_seconds(),
        connections_per_host=config.http.max_per_host,
        user_agent=config.http.user_agent,
        cache_entries=cache.max_size if cache.enabled else 0,
        cache_bytes=cache.max_bytes,
        cache_seconds=cache.ttl.total_seconds(),
        process_seconds=config.processes.timeout.total_seconds(),
        process_bytes=config.processes.memory,
        python=config.processes.python,
        node=config.processes.node,
    )
