import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import redis
from amqp import Connection
from paho.mqtt.client import MQTT_ERR_SUCCESS, CallbackAPIVersion, Client

from lemline_site.services.postgresql import postgresql
from lemline_site.services.program import running

ROOT = Path(__file__).parents[2]


def test_postgresql_keeps_its_data_its_port_and_its_password_from_one_start_to_the_next(servers):
    folder = servers / "kept"
    with running(postgresql(folder), servers / "kept.log") as first:
        connection = psycopg2.connect(first.url)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE note AS SELECT 'here' AS text")
        connection.close()

    with running(postgresql(folder), servers / "kept.log") as second:
        connection = psycopg2.connect(second.url)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT text, current_setting('fsync') FROM note")
            found = cursor.fetchone()
        connection.close()

    assert found == ("here", "on")
    assert second.url == first.url
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600


def test_every_server_answers_where_it_says(postgresql_server, redis_url, rabbitmq_url, nats_url, mqtt_url):
    psycopg2.connect(postgresql_server).close()
    with redis.Redis.from_url(redis_url) as connection:
        policy = connection.config_get("maxmemory-policy")
    with Connection(urlsplit(rabbitmq_url).netloc.rpartition("@")[2]) as amqp:
        is_connected = amqp.connected
    with socket.create_connection((urlsplit(nats_url).hostname, urlsplit(nats_url).port)) as nats:
        greeting = nats.recv(100)
    mqtt = Client(CallbackAPIVersion.VERSION2)
    accepted = mqtt.connect(urlsplit(mqtt_url).hostname, urlsplit(mqtt_url).port)

    assert policy == {"maxmemory-policy": "noeviction"}
    assert is_connected
    assert greeting.startswith(b"INFO")
    assert accepted == MQTT_ERR_SUCCESS


def test_a_command_runs_beside_the_services_that_its_environment_names():
    environment = {
        "PATH": os.environ["PATH"],
        "LEMLINE_TEST_DATABASE_URL": "postgresql://given",
        "LEMLINE_TEST_REDIS_URL": "redis://given",
        "LEMLINE_TEST_BROKER_URL": "amqp://given",
        "LEMLINE_TEST_NATS_URL": "nats://given",
        "LEMLINE_TEST_MQTT_URL": "mqtt://given",
    }
    script = "import os; print(*sorted(f'{n}={v}' for n, v in os.environ.items() if 'TEST' in n), sep='\\n'); exit(7)"

    done = subprocess.run(
        [sys.executable, "-m", "lemline_site.services", "run", "--", sys.executable, "-c", script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 7
    assert "LEMLINE_TEST_AMQP_URL=amqp://given" in done.stdout.splitlines()
