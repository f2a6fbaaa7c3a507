"""Filters that failed on an event: such an event is not theirs, and that is said once."""

import logging

from workflows.engine.step import Step
from workflows.runtime.definitions import Registered

log = logging.getLogger("lemline.events")

REMEMBERED = 10_000
"""Listeners that have complained and are remembered. With more of them, some may say it again."""

_said: dict[tuple[str, str], None] = {}


def complain(step: Step, wait_id: str, registered: Registered) -> None:
    """Say why a filter of a listener failed, unless this process has said so of it before."""
    key = step.state.instance_id, wait_id
    if key in _said:
        return
    _said[key] = None
    if len(_said) > REMEMBERED:
        del _said[next(iter(_said))]
    where = {"instance_id": key[0], "wait": wait_id, "workflow": "/".join(registered.key)}
    log.warning("filter.faulted", extra={**where, "error": step.complaint})
