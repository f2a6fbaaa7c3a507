"""The Celery app. Its settings come from Django's; the queues from `routing.py`, the job from `jobs.py`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lemline_site.settings")

from django.conf import settings

from workers.routing import routing

app = Celery("lemline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = routing(settings.LEMLINE).queues()
app.conf.task_default_queue = routing(settings.LEMLINE).queue("maintenance", 1)
app.conf.update(task_default_exchange=settings.LEMLINE.cluster.namespace)
app.conf.worker_disable_prefetch = settings.LEMLINE.messaging.url.startswith("redis")
app.conf.imports = ("workers.jobs",)
