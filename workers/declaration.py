"""Queues that exist already, made otherwise: said clearly and waited for, where Celery would end with a traceback,
be started again, and end again.
"""

import logging
import threading

from amqp.exceptions import PreconditionFailed
from kombu.exceptions import OperationalError

from workers.app import app
from workers.routing import Routing

log = logging.getLogger("lemline.queues")

AGAIN_SECONDS = 5.0
"""Pause between two looks."""


def await_queues(names: Routing) -> None:
    """Return once every queue is as it has to be. A broker that is away is for Celery to wait for."""
    while trouble := _trouble(names):
        log.error(
            "Queues exist already and are of another sort. Delete them while no worker runs (what waits in them is "
            "rung again), or set lemline.messaging.rabbitmq.queue-type to what they are. The broker says: %s",
            trouble,
        )
        threading.Event().wait(AGAIN_SECONDS)


def _trouble(names: Routing) -> str | None:
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1)
            channel = connection.default_channel
            for queue in names.queues():
                queue(channel).declare()
    except PreconditionFailed as error:
        return str(error.reply_text)
    except (OSError, OperationalError):
        return None
    return None
