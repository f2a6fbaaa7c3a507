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
    with pytest.raises(InvalidRequestError, match="choose from http, compute, io, events, maintenance"):
        launcher.main(roles)


def test_a_worker_of_a_broker_in_memory_is_refused_with_what_to_do():
    with pytest.raises(InvalidRequestError, match="set it to redis:// or amqp://"):
        launcher.main(["http"])


def test_each_level_of_each_pool_is_a_queue_of_its_own():
    names = Routing("l", "redis", 2)

    assert [queue.name for queue in names.queues()][:3] == ["l.http.1", "l.http.2", "l.compute.1"]
    assert [queue.routing_key for queue in names.queues()][:3] == ["http.1", "http.2", "compute.1"]
    assert names.redis_key("http", 2) == "l:l.http.2"


def test_queues_of_rabbitmq_are_of_the_sort_that_was_asked_for(configure):
    configure({"lemline.messaging.url": "amqp://h//", "lemline.messaging.rabbitmq.queue-type": "quorum"})
    quorum = routing(settings.LEMLINE).queues()
    configure({"lemline.messaging.rabbitmq.queue-type": "classic"})
    classic = routing(settings.LEMLINE).queues()

    assert {str(queue.queue_arguments) for queue in quorum} == {"{'x-queue-type': 'quorum'}"}
    assert {str(queue.queue_arguments) for queue in classic} == {"{}"}


@pytest.mark.parametrize(
    ("url", "broker"),
    [("redis://h/0", "redis"), ("rediss://h/0", "redis"), ("amqps://h//", "amqp"), ("memory://", "memory")],
)
def test_the_broker_is_known_by_its_address(configure, url: str, broker: str):
    configure({"lemline.messaging.url": url})

    assert routing(settings.LEMLINE).broker == broker


def test_each_role_has_a_queue_and_a_pool():
    queues = {queue.name for queue in routing(settings.LEMLINE).queues()}

    assert queues == {f"lemline.{role}.{level}" for role in ROLES for level in range(1, 6)}
    assert set(pools(settings.LEMLINE)) == set(ROLES)


def test_celery_takes_json_only_and_keeps_nothing_of_its_own():
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None
    assert app.conf.task_create_missing_queues is False
    assert app.conf.task_acks_late is True
