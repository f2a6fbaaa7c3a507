"""What LEMLINE_ACTIVITIES brings into tests of the command line."""

import threading

from workers.activities import activity


@activity("cli/twice")
def twice(text: str) -> str:
    """Return a text twice."""
    return text * 2


@activity("cli/deaf")
def deaf() -> None:
    """Hear nothing for longer than any test has patience."""
    threading.Event().wait(600)
