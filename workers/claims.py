"""Claims: a hint against running one ring twice at once. The guard is the wait's id at the commit.

A claim names the process that began a ring. A second copy of the job is dropped while that process lives,
and takes over when it is dead.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import redis
from django.db import DatabaseError

from workflows import models
from workflows.runtime.cluster import Hold, Presence

log = logging.getLogger("lemline.claims")


UNKNOWN = "unknown"


class Claims(Protocol):
    """Where claims are kept."""

    def take(self, holds: Sequence[Hold]) -> list[bool]:
        """Return for each whether this process may begin it. Never raises: without an answer it may."""
        ...

    def renew(self, holds: Iterable[Hold]) -> None:
        """Keep these from expiring."""
        ...

    def release(self, holds: Sequence[Hold]) -> None:
        """Let others begin these at once: they were not done."""
        ...

    def holder(self, hold: Hold) -> str | None:
        """Return the process that began a ring; None when nobody has, `UNKNOWN` when that cannot be told."""
        ...


class LocalClaims:
    """Claims among the threads of one process: what it holds is claimed."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    def take(self, holds: Sequence[Hold]) -> list[bool]:
        """Free is what this process does not hold."""
        return [hold not in self._presence.held for hold in holds]

    def renew(self, holds: Iterable[Hold]) -> None:
        """Nothing expires here."""

    def release(self, holds: Sequence[Hold]) -> None:
        """What is held no longer is free."""

    def holder(self, hold: Hold) -> str | None:
        """What others hold is not known here."""
        return str(self._presence.id) if hold in self._presence.held else UNKNOWN


class RedisClaims:
    """Claims in Redis, one key per ring, expiring."""

    def __init__(self, url: str, prefix: str, presence: Presence, lease: timedelta) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, decode_responses=True)
        self._prefix = prefix
        self._me = str(presence.id)
        self._presence = presence
        self._seconds = int(lease.total_seconds() * 2) + 10

    def take(self, holds: Sequence[Hold]) -> list[bool]:
        """Set what is not set, all in one round trip."""
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for hold in holds:
                pipeline.set(self._key(hold), self._me, nx=True, ex=self._seconds)
            answers = pipeline.execute()
            return [bool(answer) or self._take_over(hold) for hold, answer in zip(holds, answers, strict=True)]
        except redis.RedisError as error:
            log.warning("claims.away", extra={"error": str(error)})
            return [True] * len(holds)

    def renew(self, holds: Iterable[Hold]) -> None:
        """Set them anew, for as long again."""
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for hold in holds:
                pipeline.set(self._key(hold), self._me, ex=self._seconds)
            pipeline.execute()
        except redis.RedisError as error:
            log.warning("claims.away", extra={"error": str(error)})

    def release(self, holds: Sequence[Hold]) -> None:
        """Delete them; each of them is ours."""
        try:
            self._redis.delete(*map(self._key, holds))
        except redis.RedisError as error:
            log.warning("claims.away", extra={"error": str(error)})

    def holder(self, hold: Hold) -> str | None:
        """Read one claim."""
        try:
            holder = self._redis.get(self._key(hold))
        except redis.RedisError:
            return UNKNOWN
        return None if holder is None else str(holder)

    def _take_over(self, hold: Hold) -> bool:
        holder = self.holder(hold)
        if holder == UNKNOWN:
            return True
        if holder == self._me:
            return hold not in self._presence.held
        if holder is None or not lives(holder, self._presence):
            self._redis.set(self._key(hold), self._me, ex=self._seconds)
            return True
        return False

    def _key(self, hold: Hold) -> str:
        return f"{self._prefix}:claim:{hold[0]}:{hold[1]}:{hold[2]}"


def lives(holder: str, presence: Presence) -> bool:
    """Return whether a process was heard of within a lease; one that has just started is asked for by name."""
    if holder in presence.living:
        return True
    try:
        seen_at = _seen_at(holder)
    except DatabaseError:
        return True
    return seen_at is not None and seen_at > presence.horizon()


def has_died(holder: str | None, presence: Presence) -> bool | None:
    """Return whether somebody began it and died; None when nobody knows. Who was told to stop has left, which is no
    death.

    What the last heartbeat learnt of others is too old for this verdict.
    """
    if holder is None or holder == UNKNOWN:
        return None if holder else False
    try:
        seen_at = _seen_at(holder)
    except DatabaseError:
        return False
    return seen_at is not None and seen_at <= presence.horizon()


def _seen_at(process: str) -> datetime | None:
    return models.Node.objects.filter(pk=process).values_list("seen_at", flat=True).first()
