"""The installations that features run on."""

from tests.crash.conftest import database, open_installation, redis_urls

__all__ = ["database", "open_installation", "redis_urls"]
