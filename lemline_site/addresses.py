"""Addresses of services, as one URL each, to what Django and Celery want to be told."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from lemline_site.config import Config, ConfigurationError
from lemline_site.config.sections import Database

_POSTGRESQL = ("postgresql", "postgres")
_BROKERS = ("memory", "redis", "rediss", "amqp", "amqps")


def database(config: Config) -> dict[str, Any]:
    """Return Django's settings of the database. ConfigurationError when the URL names something else."""
    section = config.database
    url = urlsplit(section.url.removeprefix("jdbc:"))
    if url.scheme in _POSTGRESQL:
        return _postgresql(url, section, _session(section, config.execution.lease))
    if url.scheme == "sqlite":
        return _sqlite(section.url.removeprefix("sqlite://"), section)
    raise ConfigurationError(
        f"lemline.database.url: {url.scheme or section.url!r} is not known; use postgresql:// or sqlite:///"
    )


def cache(url: str, prefix: str) -> dict[str, Any]:
    """Return Django's settings of the cache."""
    if url.startswith("locmem:"):
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": prefix}
    if url.startswith(("redis://", "rediss://", "unix://")):
        timeouts = {"socket_timeout": 2, "socket_connect_timeout": 2}
        redis = "django.core.cache.backends.redis.RedisCache"
        return {"BACKEND": redis, "LOCATION": url, "KEY_PREFIX": prefix, "OPTIONS": timeouts}
    raise ConfigurationError(f"lemline.cache.url: {url!r} is not known; use redis:// or locmem://")


def broker(url: str) -> str:
    """Return the broker's URL after a look at its scheme."""
    if urlsplit(url).scheme not in _BROKERS:
        raise ConfigurationError(f"lemline.messaging.url: {url!r} is not known; use redis://, amqp:// or memory://")
    return url


def transport_options(config: Config) -> dict[str, Any]:
    """Return what Celery's transport is told; each broker has options of its own."""
    if not config.messaging.url.startswith("redis"):
        return {"confirm_publish": True} if config.messaging.url.startswith("amqp") else {}
    return {
        "visibility_timeout": int(config.messaging.visibility_timeout.total_seconds()),
        # Kombu looks for what was taken and not acknowledged every `interval` seconds, and at that every
        # `throttle`th time only: by its defaults a killed worker's jobs come back after a minute and a half.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Each level is a queue of its own (`workers/routing.py`): one list each.
        "priority_steps": [0],
        "sep": ":",
        "global_keyprefix": f"{config.cluster.namespace}:",
        "health_check_interval": 10,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
    }


def _postgresql(url: SplitResult, section: Database, session: Mapping[str, str | int]) -> dict[str, Any]:
    lifetime = section.max_lifetime
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.removeprefix("/")) or "lemline",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": url.port or "",
        "CONN_MAX_AGE": None if lifetime is None else int(lifetime.total_seconds()),
        # Steps notice a lost connection by failing, and are taken again; asking first would cost a round trip each.
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {
            "application_name": section.application_name,
            "connect_timeout": max(2, round(section.connect_timeout.total_seconds())),
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            # A peer that vanished is noticed within some ten seconds, well under half a lease.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            **dict(parse_qsl(url.query)),
        },
    }


def _session(section: Database, lease: timedelta) -> dict[str, str | int]:
    idle = section.idle_in_transaction_timeout or lease / 3
    return {
        "statement_timeout": round(section.query_timeout.total_seconds() * 1000),
        "lock_timeout": round(section.lock_timeout.total_seconds() * 1000),
        "idle_in_transaction_session_timeout": round(idle.total_seconds() * 1000),
        "default_transaction_isolation": section.transaction_isolation.lower().replace("_", "\\ "),
    }


def _sqlite(path: str, section: Database) -> dict[str, Any]:
    """Writers queue up: each writing transaction begins IMMEDIATE, readers are not held up (WAL)."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path.removeprefix("/") or "lemline.db",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": section.busy_timeout.total_seconds(),
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
    }
