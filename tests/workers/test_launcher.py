"""How a worker is started, and what it is called where."""

import pytest
from django.conf import settings

from workers import launcher
from workers.app import app
from workers.pools import ROLES, pools
from workers.routing import Routing, routing
from workflows.runtime.errors import InvalidRequestError


@pytest.mark.parametrize("roles", [["gpu"], ["http", "web"], [""]])
def test_an_unknown_role_is_refused_with_those_that_are_known(roles: list[str]):
    with pytest.raises(InvalidRequestError, match="choose from http, compute, io, maintenance"):
        launcher.main(roles)


def test_a_worker_of_a_broker_in_memory_is_refused_with_what_to_do():
    with pytest.raises(InvalidRequestError, match="set it to redis:// or amqp://"):
        launcher.main(["http"])


def test_the_most_urgent_level_has_the_number_that_its_broker_takes_first():
    on_redis, on_rabbitmq = Routing("l", "redis", 5), Routing("l", "amqp", 5)

    assert [on_redis.priority(level) for level in (1, 3, 5)] == [0, 2, 4]
    assert [on_rabbitmq.priority(level) for level in (1, 3, 5)] == [4, 2, 0]
    assert on_redis.redis_key("http", 1) == "l:l.http"
    assert on_redis.redis_key("http", 3) == "l:l.http:2"


@pytest.mark.parametrize(
    ("url", "broker"),
    [("redis://h/0", "redis"), ("rediss://h/0", "redis"), ("amqps://h//", "amqp"), ("memory://", "memory")],
)
def test_the_broker_is_known_by_its_address(configure, url: str, broker: str):
    configure({"lemline.messaging.url": url})

    assert routing(settings.LEMLINE).broker == broker


def test_each_role_has_a_queue_and_a_pool():
    queues = {queue.name for queue in routing(settings.LEMLINE).queues()}

    assert queues == {f"lemline.{role}" for role in ROLES}
    assert set(pools(settings.LEMLINE)) == set(ROLES)


def test_celery_takes_json_only_and_keeps_nothing_of_its_own():
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None
    assert app.conf.task_create_missing_queues is False
    assert app.conf.task_acks_late is True
