"""Queues that exist already and were made otherwise, on a real RabbitMQ."""

from threading import Thread
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Connection

from tests.runtimes import DEADLINE_SECONDS
from tests.waiting import wait_until
from workers import declaration
from workers.declaration import await_queues
from workers.routing import Routing


def test_a_queue_of_another_sort_is_told_and_waited_for(
    rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(declaration, "app", Celery("test", broker=rabbitmq_url))
    monkeypatch.setattr(declaration, "AGAIN_SECONDS", 0.05)
    names = Routing(f"test-{uuid4().hex[:8]}", "amqp", 1, "quorum")
    with Connection(rabbitmq_url) as connection:
        channel = connection.default_channel
        channel.queue_declare(names.queue("compute", 1), durable=True, auto_delete=False)

        waiting = Thread(target=await_queues, args=(names,), daemon=True)
        waiting.start()
        wait_until(lambda: "lemline.messaging.rabbitmq.queue-type" in caplog.text)
        assert waiting.is_alive()
        channel.queue_delete(names.queue("compute", 1))
        waiting.join(DEADLINE_SECONDS)

        assert not waiting.is_alive()
        assert f"'x-queue-type' for queue '{names.queue('compute', 1)}'" in caplog.text
        for queue in names.queues():
            queue(channel).delete()


def test_a_broker_that_is_away_is_not_waited_for_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(declaration, "app", Celery("test", broker="amqp://127.0.0.1:1//"))

    await_queues(Routing("test", "amqp", 1))
