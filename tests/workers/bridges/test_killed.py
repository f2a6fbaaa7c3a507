"""Processes that are killed while they take: nothing is lost, nothing is stored twice, and the order is kept."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from django.db import connection

from tests.waiting import wait_until
from tests.workers.bridges.brokers import Broker, MqttBroker, RabbitBroker, RedisBroker, closing
from tests.workers.bridges.conftest import ONE, STRUCTURED, running
from workflows import models

ROOT = Path(__file__).parents[3]
COUNT = 150
KILLS = 2


def received() -> int:
    return models.ReceivedEvent.objects.count()


def test_with_processes_killed_each_event_is_stored_once_and_in_order(
    stored: str, redis_url: str, rabbitmq_url: str, mqtt_url: str, process_environment: dict[str, str]
) -> None:
    with (
        closing(RedisBroker(redis_url)) as redis,
        closing(RabbitBroker(rabbitmq_url)) as rabbit,
        closing(MqttBroker(mqtt_url)) as mqtt,
    ):
        brokers = {"redis": redis, "rabbit": rabbit, "mqtt": mqtt}
        for broker in brokers.values():
            with running(broker.url):
                pass
        telling = [threading.Thread(target=tell, args=each) for each in brokers.items()]
        for thread in telling:
            thread.start()
        command = [sys.executable, "-m", "tests.workers.bridges.taking", *(each.url for each in brokers.values())]
        environment = {**process_environment, "LEMLINE_EVENT_PROCESSOR_MAX_EVENTS": "100000"}
        for kill in range(1, KILLS + 1):
            taking = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
            wait_until(lambda goal=3 * COUNT * kill // (KILLS + 1): received() > goal, received, 60)
            taking.kill()
            taking.wait()
        for thread in telling:
            thread.join()
        for broker in brokers.values():
            with running(broker.url):
                name = next(name for name, each in brokers.items() if each is broker)
                wait_until(lambda name=name: len(stored_of(name)) == COUNT, lambda name=name: stored_of(name)[-3:], 60)

        assert (redis.kept(), rabbit.kept()) == (0, 0)
    for name in brokers:
        assert stored_of(name) == [str(number) for number in range(COUNT)]
    assert models.RejectedMessage.objects.count() == 0


def tell(source: str, broker: Broker) -> None:
    for number in range(COUNT):
        event = {**ONE, "source": source, "id": str(number)}
        broker.publish(json.dumps(event).encode(), STRUCTURED)


def stored_of(source: str) -> list[str]:
    rows = models.ReceivedEvent.objects.filter(source=source).order_by("pk")
    return list(rows.values_list("event_id", flat=True))


def test_a_database_that_ends_its_connections_costs_no_event(stored: str, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    with running(broker.url):
        tell("/before", broker)
        wait_until(lambda: len(stored_of("/before")) > COUNT // 4)
        end_connections()
        tell("/after", broker)
        wait_until(lambda: len(stored_of("/after")) == COUNT, lambda: stored_of("/after")[-3:], 60)
        wait_until(lambda: broker.kept() == 0)

    assert stored_of("/before") == [str(number) for number in range(COUNT)]


def end_connections() -> Any:
    """End those of all other threads."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
