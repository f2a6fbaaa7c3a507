"""The Celery jobs, each a few lines: what is wanted is read, run, and its outcome handed to the stepper."""

from celery.exceptions import Reject

from workers.app import app
from workers.desk import HandedBackError, desk
from workers.message import decode
from workers.publisher import JOB


@app.task(name=JOB)
def run_activity(text: str) -> None:
    """Run the activities of one message; returns, and is acknowledged, once each outcome is committed."""
    try:
        desk().handle(decode(text))
    except HandedBackError as error:
        # Back to its queue: whoever takes it next drops what was settled, and runs the rest.
        raise Reject("this process stops", requeue=True) from error
