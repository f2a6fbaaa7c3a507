"""The Celery jobs, each a few lines: what is wanted is read, run, and its outcome handed to the stepper."""

from workers import beat, taking
from workers.app import app
from workers.desk import HandedBackError, desk
from workers.message import decode
from workers.publisher import JOB
from workflows.runtime.firing import Firing
from workflows.runtime.process import current


@app.task(name=JOB)
def run_activity(text: str) -> None:
    """Run the activities of one message; returns, and is acknowledged, once each outcome is committed."""
    message = decode(text)
    try:
        desk().handle(message)
    except HandedBackError:
        desk().pass_on(message)
    finally:
        taking.opened()


@app.task(name=beat.JOB)
def look(**_: object) -> None:
    """Start what schedules have due. Timekeepers do so by themselves: this is for whoever rings."""
    process = current()
    try:
        Firing(process).fire_due(process.clock.now())
    finally:
        taking.opened()
