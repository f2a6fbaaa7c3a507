"""What gunicorn is told: `gunicorn --config python:lemline_site.web lemline_site.wsgi`."""

from typing import Any

from lemline_site.settings import LEMLINE
from workers import garbage

bind = f"{LEMLINE.web.host}:{LEMLINE.web.port}"
# Threads, since a request may wait for the end of an instance; processes for cores.
worker_class = "gthread"
workers = LEMLINE.web.processes
threads = LEMLINE.web.threads
# A worker process that dies is started again by gunicorn; one that hangs, after this.
timeout = 120
graceful_timeout = round(LEMLINE.execution.grace.total_seconds())
keepalive = 15
# The doors have limits of their own; long ids and filters must get through to them.
limit_request_line = 8190
accesslog = None
loglevel = "warning"
# It would be put into the home folder, one for all servers of a user.
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """Called once the application is loaded."""
    garbage.settle(LEMLINE.jvm.gc.strategy, LEMLINE.jvm.gc.max_gc_pause_millis)
    # Not before there is an application: its models need one.
    from workflows.api import streams

    streams.SERVING.goes_on = lambda: worker.alive
