"""Claims in Redis: a hint against running one ring twice at once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from django.utils import timezone

from workers.claims import UNKNOWN, RedisClaims, has_died
from workflows.models import Node
from workflows.runtime.cluster import Held, Hold, Presence

HOLD: Hold = ("i", "1", 1)


@pytest.fixture
def new(redis_cache_url: str, sqlite: str) -> Callable[[], RedisClaims]:
    def make() -> RedisClaims:
        presence = Presence(name="p", roles="compute")
        return RedisClaims(redis_cache_url, "tests", presence, timedelta(seconds=30))

    return make


def know(claims: RedisClaims, *living: RedisClaims) -> None:
    """Tell a process who lives, as a heartbeat does."""
    claims._presence.living = frozenset(str(each._presence.id) for each in living)


def test_what_a_living_process_has_begun_is_not_begun_again(new: Callable[[], RedisClaims]):
    first, second = new(), new()
    know(second, first)

    assert first.take([HOLD, ("i", "2", 1)]) == [True, True]
    assert second.take([HOLD, ("i", "3", 1)]) == [False, True]
    assert second.holder(HOLD) == str(first._presence.id)


def test_what_a_dead_process_had_begun_is_taken_over(new: Callable[[], RedisClaims]):
    dead, other = new(), new()
    dead.take([HOLD])
    seen = timezone.now() - timedelta(minutes=5)
    Node.objects.create(id=dead._presence.id, name="p", roles="", started_at=seen, seen_at=seen, taken={}, held=[])
    other._presence.horizon = lambda: timezone.now() - timedelta(seconds=30)

    assert has_died(other.holder(HOLD), other._presence)
    assert other.take([HOLD]) == [True]
    assert other.holder(HOLD) == str(other._presence.id)


def test_a_later_ring_is_free(new: Callable[[], RedisClaims]):
    first, second = new(), new()
    know(second, first)
    first.take([HOLD])

    assert second.take([("i", "1", 2)]) == [True]


def test_what_is_released_is_free_at_once_and_nobody_is_blamed(new: Callable[[], RedisClaims]):
    first, second = new(), new()
    know(second, first)
    first.take([HOLD])

    first.release([HOLD])

    assert not has_died(second.holder(HOLD), second._presence)
    assert second.take([HOLD]) == [True]


def test_a_process_drops_a_copy_of_what_it_holds_and_takes_what_it_holds_no_longer(new: Callable[[], RedisClaims]):
    claims = new()
    know(claims, claims)
    claims.take([HOLD])
    claims._presence.held[HOLD] = Held(since=claims._presence.horizon(), cancel=lambda: None)

    assert claims.take([HOLD]) == [False]
    del claims._presence.held[HOLD]
    assert claims.take([HOLD]) == [True]


def test_a_claim_expires_unless_it_is_renewed(new: Callable[[], RedisClaims], redis_cache_url: str):
    claims = new()
    claims.take([HOLD])
    with redis.Redis.from_url(redis_cache_url) as connection:
        [key] = connection.keys("tests:claim:*")
        connection.expire(key, 5)
        claims.renew([HOLD])
        renewed = connection.ttl(key)

    assert renewed > 60


def test_without_an_answer_everything_may_begin(sqlite: str):
    away = RedisClaims("redis://127.0.0.1:1/0", "tests", Presence(name="p", roles=""), timedelta(seconds=30))

    away.renew([HOLD])
    away.release([HOLD])

    assert away.take([HOLD]) == [True]
    assert away.holder(HOLD) == UNKNOWN
    assert has_died(away.holder(HOLD), away._presence) is None
