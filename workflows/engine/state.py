"""All that the engine knows of an instance, and its stored form.

Stored with readable keys and a schema number. A document that several frames share is stored once,
and the workflow's raw input not at all: it lies beside the state, in a column that no step rewrites.
"""

from datetime import datetime
from typing import Literal

import msgspec

from workflows.dsl.jsontext import Json
from workflows.engine.problems import Problem

SCHEMA = 1
"""Number of the stored form; `decode_state` upgrades older ones."""

Status = Literal["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"]
FINAL: frozenset[str] = frozenset({"cancelled", "faulted", "completed"})


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing an instance is waiting for."""

    kind: Literal["activity", "timer", "child", "event", "continue"]
    address: str
    """Frame that wants the answer."""

    due_at: datetime | None = None
    """Timers only."""

    request: Json = None
    """What a second ring needs: the command that opened this wait, as JSON. Timers need none."""

    ring: int = 1
    rung_at: datetime | None = None
    deaths: int = 0
    """Processes that died with this wait in hand."""
