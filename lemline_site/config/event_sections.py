"""What can be set about CloudEvents: a frozen dataclass per key family, as in `sections.py`."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Events:
    """CloudEvents that were received or emitted."""

    retention: timedelta = timedelta(days=7)
    """How long they are kept. For so long the same event, received again, is known."""
