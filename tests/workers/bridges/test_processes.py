"""From a broker to a workflow that listens, through a worker process as it is deployed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.doors import register, start
from tests.runtimes import output_of, status_of
from tests.waiting import wait_until
from tests.workers.bridges.brokers import MqttBroker, NatsBroker, RabbitBroker, RedisBroker, closing
from tests.workers.bridges.conftest import ONE, STRUCTURED, running
from workflows import models

ROOT = Path(__file__).parents[3]

LISTENER = """
do:
  - gather:
      listen:
        to:
          all:
            - with: {type: order.placed, source: /redis}
            - with: {type: order.placed, source: /rabbit}
            - with: {type: order.placed, source: /nats}
            - with: {type: order.placed, source: /mqtt}
        read: envelope
      output: {as: '${ [.[].source] | sort }'}
"""


def test_events_of_four_brokers_reach_a_workflow_that_listens(
    stored: str, redis_url: str, rabbitmq_url: str, nats_url: str, mqtt_url: str, process_environment: dict[str, str]
) -> None:
    register(LISTENER, name="gather")
    instance = start("gather").id
    with (
        closing(RedisBroker(redis_url)) as redis,
        closing(RabbitBroker(rabbitmq_url)) as rabbit,
        closing(NatsBroker(nats_url, is_kept=True)) as nats,
        closing(MqttBroker(mqtt_url)) as mqtt,
    ):
        with running(mqtt.url):
            # Before its session exists, nothing is kept for it.
            pass
        brokers = {"/redis": redis, "/rabbit": rabbit, "/nats": nats, "/mqtt": mqtt}
        environment = {
            **process_environment,
            "BROKER_URL": redis_url,
            "CACHE_URL": redis_url,
            "LEMLINE_EVENTS_BRIDGES": ",".join(broker.url for broker in brokers.values()),
        }
        command = [sys.executable, "manage.py", "lemline", "worker", "--roles", "events"]
        with subprocess.Popen(command, env=environment, cwd=ROOT) as worker:
            try:
                taken = models.Bridge.objects.filter(held_until__isnull=False)
                wait_until(lambda: taken.count() == len(brokers), taken.count)
                for source, broker in brokers.items():
                    broker.publish(json.dumps({**ONE, "source": source, "id": "1"}).encode(), STRUCTURED)
                wait_until(lambda: status_of(instance) == "completed", received)
            finally:
                worker.send_signal(signal.SIGTERM)

    assert output_of(instance) == sorted(brokers)


def received() -> list[str]:
    return list(models.ReceivedEvent.objects.values_list("source", flat=True))
