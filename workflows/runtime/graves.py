"""Instances whose step cannot be taken: faulted by hand, so that they neither come back for ever nor vanish."""

import logging
from typing import Any

import msgspec
from django.db import DatabaseError, transaction

from workflows import models
from workflows.engine.problems import problem
from workflows.runtime.clock import DatabaseClock

log = logging.getLogger("lemline.graves")


def bury(instance_id: str, error: Exception, clock: DatabaseClock) -> None:
    """Fault an instance whose step raised or could not be stored. The checkpoint stays as it was, for `retry`.

    Never raises: a database that refuses this too leaves the instance to the sweeper.
    """
    fault = problem("runtime", f"the step could not be taken: {type(error).__name__}: {error}")
    now = clock.now()
    try:
        with transaction.atomic():
            if not _lock(instance_id):
                return
            _fault(instance_id, {"problem": msgspec.json.encode(fault), "problem_type": fault.type, "ended_at": now})
    except DatabaseError:
        log.exception("grave.refused", extra={"instance_id": instance_id})


def _lock(instance_id: str) -> bool:
    return models.Checkpoint.objects.select_for_update().filter(instance=instance_id).first() is not None


def _fault(instance_id: str, values: dict[str, Any]) -> None:
    models.Instance.objects.filter(pk=instance_id).update(status="faulted", **values)
    models.Checkpoint.objects.filter(instance=instance_id).update(
        due_at=None, leased_until=None, has_open_work=False, parked=True
    )
