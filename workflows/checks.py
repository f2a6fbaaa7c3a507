"""Settings that would lose or double work, reported by `manage.py check`."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.compatibility)
def check_time_zone(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Instants are compared across processes and databases: everything is UTC."""
    if settings.USE_TZ and settings.TIME_ZONE == "UTC":
        return []
    return [Error("TIME_ZONE must be UTC and USE_TZ true", id="lemline.E001")]


@register(Tags.caches)
def check_claims(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Claims tell what a process had begun. Nothing is lost without them, but some is done in vain."""
    config = settings.LEMLINE
    if config.messaging.url.startswith("memory:") or not config.cache.url.startswith("locmem:"):
        return []
    return [
        Warning(
            "Workers do not know of each other what they have begun: what comes twice may be run twice at once, and"
            " after a worker's death more than it had in hand is under suspicion.",
            hint="Set CACHE_URL to a Redis that all workers share.",
            id="lemline.W001",
        )
    ]
